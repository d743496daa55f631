"""How many megabytes a second each cleaning rule reads on one core: stories, web pages, books and code.

LILLIPUT_DATA=FOLDER python -m bench.rules
"""

import json
import os
import time
from pathlib import Path
from statistics import median

from lilliput.corpus.document import size
from lilliput.corpus.filters import RULES

ROUNDS = 5


def texts(data: Path) -> dict[str, list[str]]:
    """Kind of text -> its documents, some megabyte of each."""
    stories = _column(data / "tinystories" / "train_sample.jsonl") + _column(
        data / "tinystories" / "valid_sample.jsonl"
    )
    pages = _column(data / "web" / "c4_demo_head.jsonl") + _column(data / "web" / "dolma_cc_en_head-0091.jsonl")
    books = [(data / "books" / f"{name}.txt").read_text("utf-8-sig") for name in ("84_frankenstein", "16_peter-pan")]
    code = [file.read_text("utf-8") for file in sorted((data / "code" / "files").glob("*.py"))]
    return {"stories": stories, "pages": pages, "books": books, "code": code}


def _column(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]


def rate(word: str, documents: list[str]) -> float:
    """Megabytes a second of this process's own time, the middle of some rounds."""
    rule, seconds = RULES[word](), []
    for _ in range(ROUNDS + 1):
        begun = time.process_time()
        for document in documents:
            rule.apply(document)
        seconds.append(time.process_time() - begun)
    return sum(map(size, documents)) / 1e6 / max(median(seconds[1:]), 1e-6)  # the first one loads what is needed


def main() -> None:
    kinds = texts(Path(os.environ["LILLIPUT_DATA"]))
    print(f"{'MB/s':<12}" + "".join(f"{kind:>10}" for kind in kinds))
    for word in RULES:
        print(f"{word:<12}" + "".join(f"{rate(word, documents):>10,.1f}" for documents in kinds.values()), flush=True)


if __name__ == "__main__":
    main()
