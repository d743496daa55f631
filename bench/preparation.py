"""Raw text to token shards: against `datasets.map` on 2 processes, and peak memory at 100 MB and 1 GB of text.

`python -m bench.preparation` prints the ratios, `python -m bench.preparation --memory` the peaks. The text is that of
`LILLIPUT_DATA` (else of `../shared/data`): one document per JSON line, repeated to the size asked for.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import Any

from bench.ratio import alternate, ratio

MB = 1_000_000
CHAPTER = 4_000
"""Characters after which a book is cut at its next blank line: a document of the size that web pages have."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=float, default=100, help="MB of text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokenizer", default="gpt2", choices=("gpt2", "bytes"))
    parser.add_argument("--against", default="transformers,bare", help="peers, divided by commas")
    parser.add_argument("--memory", action="store_true", help="peak memory at --size and ten times that instead")
    parser.add_argument("--once", metavar="FILE", help="prepare this file and print the peak (what --memory calls)")
    wanted = parser.parse_args()
    if wanted.once:
        print(json.dumps(once(Path(wanted.once), wanted.tokenizer)))
        return
    with tempfile.TemporaryDirectory(prefix="lilliput-bench-") as folder:
        os.environ["LILLIPUT_HOME"] = str(Path(folder, "home"))
        if wanted.memory:
            memory(Path(folder), wanted.size, wanted.tokenizer)
        else:
            speed(Path(folder), wanted.size, wanted.rounds, wanted.against.split(","))


def speed(folder: Path, size: float, rounds: int, against: list[str]) -> None:
    text = write(folder / "text.jsonl", size)
    contestants: dict[str, Callable[[], int]] = {"ours": lambda: ours(text, "gpt2")}
    for peer in against:
        contestants[peer] = lambda peer=peer: theirs(text, folder / "cache", PEERS[peer])
    seconds = alternate(contestants, rounds=rounds, warm_up=1)
    for name, found in seconds.items():
        print(f"{name}: {median(found):.2f} s, {size / median(found):.1f} MB/s")
    for name in against:
        print(ratio(seconds, name, "ours"))


def memory(folder: Path, size: float, tokenizer: str) -> None:
    peaks = []
    for times in (1, 10):
        text = write(folder / "text.jsonl", size * times)
        command = [sys.executable, "-m", "bench.preparation", "--once", str(text), "--tokenizer", tokenizer]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        peaks.append(found["peak"])
        print(f"{size * times:g} MB, {tokenizer}: peak {found['peak']:.0f} MB, {found['seconds']:.1f} s", flush=True)
    print(f"ten times the text: {peaks[1] / peaks[0]:.2f} times the memory")


def once(text: Path, tokenizer: str) -> dict[str, float]:
    import resource
    import time

    begun = time.perf_counter()
    ours(text, tokenizer)
    usage = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"peak": sum(usage) / 1024, "seconds": time.perf_counter() - begun}


def ours(text: Path, tokenizer: str) -> int:
    """The file as a durable shard; the number of tokens."""
    from lilliput.corpus.sources.jsonl import JsonlSource
    from lilliput.corpus.split import SplitConfig
    from lilliput.runs.home import home
    from lilliput.stages.prepare import DataConfig, ValidationConfig, prepare
    from lilliput.tokens.bytes import ByteTokenizer
    from lilliput.tokens.gpt2 import open_gpt2

    rmtree(home() / "shards", ignore_errors=True)
    source = JsonlSource(path=str(text))
    chosen = open_gpt2(home()) if tokenizer == "gpt2" else ByteTokenizer()
    data = prepare(DataConfig(sources=(source,), split=SplitConfig(validation=0.0)), ValidationConfig(), chosen)
    return data.train[0].num_tokens


def theirs(text: Path, cache: Path, tokenize: Callable[[], Any]) -> int:
    """The file as a data set's arrow cache, in batches on 2 processes."""
    import datasets

    datasets.disable_progress_bars()
    rmtree(cache, ignore_errors=True)
    rows = datasets.load_dataset("json", data_files=str(text), split="train", cache_dir=str(cache))
    return len(rows.map(tokenize(), batched=True, num_proc=2, remove_columns=["text"]))


def transformers() -> Callable[[Any], Any]:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner(), eos_token="<|endoftext|>")
    return lambda batch: {"input_ids": tokenizer(batch["text"], return_attention_mask=False)["input_ids"]}


def bare() -> Callable[[Any], Any]:
    tokenizer = inner()
    return lambda batch: {"input_ids": [found.ids for found in tokenizer.encode_batch_fast(batch["text"])]}


def inner() -> Any:
    from lilliput.runs.home import home
    from lilliput.tokens.gpt2 import open_gpt2

    return open_gpt2(home()).inner


PEERS = {"transformers": transformers, "bare": bare}
"""What `datasets.map` calls: the fast tokenizer of transformers, or that of tokenizers without anything around it."""


def write(path: Path, size: float) -> Path:
    """`size` MB of documents, one per line; the texts come again and again."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for text in cycle(list(texts())):
            if written >= size * MB:
                break
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            written += len(text.encode())
    return path


def texts() -> Iterator[str]:
    """The documents of the sample data."""
    data = Path(os.environ["LILLIPUT_DATA"])
    for name in sorted(data.glob("books/*.txt")):
        yield from chapters(name.read_text("utf-8", "replace"))
    for name in sorted([*data.glob("tinystories/*_sample.jsonl"), *data.glob("web/*.jsonl")]):
        for row in map(json.loads, filter(None, name.read_text("utf-8").split("\n"))):
            if isinstance(row.get("text"), str):
                yield row["text"]
    yield from chapters((data / "wikitext2" / "valid.txt").read_text("utf-8"))


def chapters(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        stop = text.find("\n\n", start + CHAPTER)
        stop = len(text) if stop < 0 else stop
        yield text[start:stop]
        start = stop


if __name__ == "__main__":
    main()
