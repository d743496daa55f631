"""Numbers put aside in a file without a name, so that what a pass finds of each document need not stay in memory."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray


class Spool:
    """A row of 64-bit numbers in a file: first it grows, then it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.size = file, 0

    def add(self, numbers: NDArray[np.uint64]) -> None:
        self.file.write(np.ascontiguousarray(numbers).data)
        self.size += len(numbers)

    def read(self, start: int, stop: int) -> NDArray[np.uint64]:
        """(stop - start,) some of the numbers; read, not mapped: mapped pages would count as the process's memory."""
        self.file.seek(8 * start)
        return np.frombuffer(self.file.read(8 * (stop - start)), dtype=np.uint64)

    def row(self) -> NDArray[np.uint64]:
        """(size,) all numbers."""
        return self.read(0, self.size)


@contextmanager
def spool(folder: Path | None = None) -> Iterator[Spool]:
    """An empty row on the disk of `folder`, or of the system's temporary folder; gone however the process ends."""
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Spool(file)
