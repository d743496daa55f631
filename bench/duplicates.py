"""Near-duplicates side by side with datasketch and datatrove: speed, what is found of the true pairs, growth, memory.

`python -m bench.duplicates` draws documents of the sample data's words, a fifth of which repeat an earlier one with
1 % of its words changed, and computes the true similarity of every pair that shares a run of 5 words.
"""

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lilliput.corpus.near import Near, clusters

SOURCES = ("tinystories/train_sample.txt", "wikitext2/valid.txt", "tiny_shakespeare/input.txt")
WORDS, REPEATED, CHANGED = (150, 350), 0.2, 0.01
NEAR = Near()
Indices = NDArray[np.int64]


def documents(count: int, data: Path, seed: int = 0) -> list[str]:
    """Texts of words in an order drawn anew for each, so that unlike ones share next to no run."""
    draw = random.Random(seed)
    text = " ".join((data / name).read_text(encoding="utf-8") for name in SOURCES).lower()
    known = ["".join(filter(str.isalnum, word)) for word in text.split()]
    words, texts = [word for word in known if word], list[list[str]]()
    for _ in range(count):
        if texts and draw.random() < REPEATED:
            copy = list(draw.choice(texts))
            for place in draw.sample(range(len(copy)), max(1, round(CHANGED * len(copy)))):
                copy[place] = draw.choice(words)
            texts.append(copy)
        else:
            texts.append(draw.choices(words, k=draw.randint(*WORDS)))
    return [" ".join(each) for each in texts]


def true_pairs(texts: list[str]) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """(first, second, similarity) of every pair that shares a run of words; runs are numbered, not hashed."""
    number: dict[str, int] = {}
    rows = [[number.setdefault(word, len(number)) for word in text.split()] for text in texts]
    words = np.array([word for row in rows for word in row], dtype=np.int64)
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    runs = words
    for place in range(1, NEAR.words):
        runs = np.unique(runs[:-1] * len(number) + words[place:], return_inverse=True)[1]
    is_whole = owner[: len(runs)] == owner[NEAR.words - 1 :]
    held = np.unique(runs[is_whole] * len(rows) + owner[: len(runs)][is_whole])
    runs, owner = held // len(rows), held % len(rows)
    sizes, pairs = np.bincount(owner, minlength=len(rows)), []
    for distance in range(1, len(runs)):
        shared = np.flatnonzero(runs[distance:] == runs[:-distance])
        if not len(shared):
            break
        pairs.append(owner[shared] * len(rows) + owner[shared + distance])
    found, common = np.unique(np.concatenate(pairs), return_counts=True)
    first, second = found // len(rows), found % len(rows)
    return first, second, common / (sizes[first] + sizes[second] - common)


@dataclass(frozen=True)
class Quality:
    recall: float
    """Of the pairs that are truly near, the share of which at most one document stays."""
    precision: float
    """Of the documents left out, the share that is truly near to an earlier one that stays."""
    pairs: int
    dropped: int

    def __str__(self) -> str:
        left = f"precision {self.precision:.4f} of {self.dropped:,} documents left out"
        return f"recall {self.recall:.4f} of {self.pairs:,} true pairs, {left}"


def quality(twins: Indices, first: Indices, second: Indices, similarity: NDArray[np.float64]) -> Quality:
    is_near = similarity >= NEAR.threshold
    first, second = first[is_near], second[is_near]
    stays = twins == np.arange(len(twins))
    gone = np.flatnonzero(~stays)
    is_true = np.isin(twins[gone] * len(twins) + gone, first * len(twins) + second) & stays[twins[gone]]
    return Quality(float((~stays[first] | ~stays[second]).mean()), float(is_true.mean()), len(first), len(gone))


def lilliput(texts: list[str]) -> Indices:
    return clusters(texts, NEAR).twins


def datasketch(texts: list[str]) -> list[list[int]]:
    """MinHash and its index as the package's own guide has it; its candidates are not verified."""
    from datasketch import MinHash, MinHashLSH

    def shingles(text: str) -> set[bytes]:
        words = text.split()
        return {" ".join(words[at : at + NEAR.words]).encode() for at in range(len(words) - NEAR.words + 1)}

    index, found = MinHashLSH(threshold=NEAR.threshold, num_perm=NEAR.hashes), []
    for place, sketch in enumerate(MinHash.generator(map(shingles, texts), num_perm=NEAR.hashes)):
        found.append(index.query(sketch))
        index.insert(place, sketch)
    return found


def datatrove(folder: Path, workers: int) -> None:
    """The four stages on local executors; words are cut at blanks, which costs less than its spaCy would."""
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import minhash
    from datatrove.utils.hashing import HashConfig

    class Blanks:
        def word_tokenize(self, text: str) -> list[str]:
            return text.split()

    def documents(data: object, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        for place, text in enumerate(read(folder, rank)):
            yield Document(text=text, id=f"{rank}:{place}")

    minhash.load_word_tokenizer = lambda language: Blanks()
    config = minhash.MinhashConfig(n_grams=NEAR.words, hash_config=HashConfig(hash_fc="sha1"))
    parts = [str(folder / name) for name in ("signatures", "pairs", "removed")]
    stages = [
        ([documents, minhash.MinhashDedupSignature(parts[0], config)], workers),
        ([minhash.MinhashDedupBuckets(parts[0], parts[1], config=config)], config.num_buckets),
        ([minhash.MinhashDedupCluster(parts[1], parts[2], config=config)], 1),
        ([documents, minhash.MinhashDedupFilter(parts[2])], workers),
    ]
    for number, (pipeline, tasks) in enumerate(stages):
        log = str(folder / "logs" / str(number))
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=workers, logging_dir=log, start_method="fork").run()


def write(texts: list[str], folder: Path, files: int) -> None:
    for number in range(files):
        lines = "".join(json.dumps(text) + "\n" for text in texts[number::files])
        (folder / f"{number}.jsonl").write_text(lines, encoding="utf-8")


def read(folder: Path, number: int) -> Iterator[str]:
    with (folder / f"{number}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def apart(name: str, texts: list[str], workers: int = 1) -> tuple[float, float, float]:
    """(seconds without start-up, of the processor, peak MB) of one in a process of its own that reads JSON lines."""
    with tempfile.TemporaryDirectory() as folder:
        write(texts, Path(folder), workers)
        command = [sys.executable, "-m", "bench.duplicates", "--apart", name, folder, str(workers)]
        said = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).split()
    seconds, processor, peak = map(float, said[-3:])
    return seconds, processor, peak


def alone(name: str, folder: Path, workers: int) -> None:
    if name == "datatrove":
        import_module("datatrove.pipeline.dedup")
        seconds = timed(lambda: datatrove(folder, workers))
    else:
        clusters(["rensa is loaded before the clock starts"], NEAR)
        seconds = timed(lambda: clusters(read(folder, 0), NEAR))
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    of_workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(seconds, time.process_time(), max(int(peak[1]) if peak else 0, of_workers) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ["LILLIPUT_DATA"], help="the folder of the sample data")
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], choices=["datasketch", "datatrove", "quality", "growth"])
    parser.add_argument("--apart", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.apart:
        return alone(options.apart[0], Path(options.apart[1]), int(options.apart[2]))
    count, texts = options.documents, documents(options.documents, options.data)
    size = sum(map(len, texts)) / 1e6
    print(f"{count:,} documents, {size:.0f} MB, {REPEATED:.0%} of them with {CHANGED:.0%} of another's words changed")
    ours = [timed(lambda: lilliput(texts))]
    if "datasketch" not in options.without:
        theirs = []
        for _ in range(options.rounds):
            theirs.append(timed(lambda: datasketch(texts)))
            ours.append(timed(lambda: lilliput(texts)))
        ratios = sorted(other / own for other, own in zip(theirs, ours[1:], strict=True))
        print(
            f"datasketch: {count / min(theirs):,.0f} documents/s; lilliput is {ratios[len(ratios) // 2]:.1f} times as"
        )
        print(f"  fast ({ratios[0]:.1f} to {ratios[-1]:.1f} in {len(ratios)} rounds in turn; promised: 4)")
    print(f"lilliput: {count / min(ours):,.0f} documents/s in one process, candidates verified")
    if "datatrove" not in options.without:
        before, (seconds, _, peak), after = (
            apart(name, texts, workers) for name, workers in (("lilliput", 1), ("datatrove", 2), ("lilliput", 1))
        )
        own, own_peak = (before[0] + after[0]) / 2, after[2]
        print(
            f"datatrove, 2 processes: {count / seconds:,.0f} documents/s, {peak:.0f} MB; lilliput, from the same files,"
        )
        print(f"  {count / own:,.0f}, {own_peak:.0f} MB: {seconds / own:.1f} times as fast (promised: 10)")
    if "quality" not in options.without:
        print(quality(lilliput(texts), *true_pairs(texts)), "(promised: 0.95 and 0.98)")
    if "growth" not in options.without:
        small, large = (apart("lilliput", texts[:number]) for number in (count // 10, count))
        print(f"10 times the documents: {large[0] / small[0]:.1f} times as long (promised: at most 12),")
        print(f"  {large[1] / small[1]:.1f} times the processor's time with start-up,")
        print(f"  peak memory {small[2]:.0f} -> {large[2]:.0f} MB")
    return None


if __name__ == "__main__":
    main()
