"""Random access to the batches of ten billion tokens: what one costs, wherever it lies in whichever epoch.

`python -m bench.random_access` lays out a mixture of three sources as token shards in sparse files, whose 20 GB take
no room on the disk, with ten million documents, and asks for batches of random updates. Holes are read as zeros without
a disk, so this is the cost of the order, the mixture, the packing and the page cache, and not that of a drive.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from statistics import quantiles

import numpy as np

from lilliput.tokens.batches import Batches
from lilliput.tokens.bytes import ByteTokenizer
from lilliput.tokens.shards import FORMAT, INDEX, MANIFEST, TOKENS, Shard

SHARES = (0.6, 0.3, 0.1)
DOCUMENT = 1000
"""Tokens of a document on average; the lengths vary by as much."""
SHAPES = ((16, 512), (16, 1024), (32, 512), (8, 2048), (32, 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, default=10_000_000_000)
    parser.add_argument("--batches", type=int, default=500, help="random updates of each shape")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lilliput-bench-") as folder:
        for tokens in (1_000_000, wanted.tokens):
            shards = [lay_out(Path(folder, f"{tokens}-{n}"), int(tokens * s), n) for n, s in enumerate(SHARES)]
            begun = time.perf_counter()
            opened = [Shard.open(path) for path in shards]
            print(f"{tokens:,} tokens: opened in {1000 * (time.perf_counter() - begun):.2f} ms")
            for batch_size, context in SHAPES:
                report(opened, batch_size, context, wanted.batches)


def lay_out(folder: Path, tokens: int, seed: int) -> Path:
    """A shard of documents of random lengths, none of whose tokens is written."""
    folder.mkdir()
    count = tokens // DOCUMENT
    offsets = np.concatenate([[0], np.random.default_rng(seed).integers(2, 2 * DOCUMENT, count)]).cumsum()
    with (folder / INDEX).open("wb") as file:
        offsets.astype("<i8").tofile(file)
        file.truncate(20 * count + 8)
    with (folder / TOKENS).open("wb") as file:
        file.truncate(2 * int(offsets[-1]))
    unread = {"files": {name: {"size": 0, "sha256": ""} for name in (TOKENS, INDEX)}, "provenance": {}}
    counts = {"documents": count, "tokens": int(offsets[-1]), "bytes": 0, "vocabulary": 256, "exact_lengths": True}
    manifest = {"format": FORMAT, "dtype": "<u2", "tokenizer": ByteTokenizer.fingerprint, **counts, **unread}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def report(shards: list[Shard], batch_size: int, context: int, count: int) -> None:
    options = {"seed": 1, "batch_size": batch_size, "context_length": context}
    later = [(0.8, SHARES[::-1])]
    batches = Batches(shards, SHARES, later, **options, lengths=ByteTokenizer().lengths()).over(10**8)
    draw, milliseconds = random.Random(0), list[float]()
    for _ in range(count):
        step = draw.randrange(1, 10**8)
        begun = time.perf_counter()
        batches.batch(step)
        milliseconds.append(1000 * (time.perf_counter() - begun))
    cuts = quantiles(milliseconds, n=100)
    figures = f"median {cuts[49]:.2f}, 99 % under {cuts[98]:.2f}, longest {max(milliseconds):.2f}"
    print(f"  {batch_size} windows of {context:,}: ms a batch: {figures}", flush=True)


if __name__ == "__main__":
    main()
