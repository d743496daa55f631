"""Numbers put aside in a file without a name, so that what a pass finds of each document need not stay in memory."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray


class Spool:
    """A row of 64-bit numbers that grows in a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.size = file, 0

    def add(self, numbers: NDArray[np.uint64]) -> None:
        self.file.write(np.ascontiguousarray(numbers).data)
        self.size += len(numbers)

    def row(self) -> NDArray[np.uint64]:
        """(size,) all numbers so far, mapped from the file."""
        if not self.size:
            return np.empty(0, dtype=np.uint64)
        self.file.flush()
        return np.asarray(np.memmap(self.file, dtype=np.uint64, mode="r", shape=(self.size,)))


@contextmanager
def spool(folder: Path | None = None) -> Iterator[Spool]:
    """An empty row on the disk of `folder`, or of the system's temporary folder; gone however the process ends."""
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Spool(file)
