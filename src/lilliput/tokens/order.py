"""Order without memory: the project's one hash, and a keyed permutation with random access."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import isqrt
from typing import overload

import numpy as np
from numpy.typing import NDArray

ROUNDS = 8

U64 = NDArray[np.uint64]


def hash64(*parts: int | str) -> int:
    """H(parts): 64 bits of blake2b; different sequences of parts never share their bytes."""
    digest = blake2b(digest_size=8)
    for part in parts:
        word = part.encode() if isinstance(part, str) else str(int(part)).encode()
        digest.update(b"%s%d:%s" % (b"s" if isinstance(part, str) else b"i", len(word), word))
    return int.from_bytes(digest.digest(), "little")


@overload
def permute(index: int, size: int, key: int) -> int: ...
@overload
def permute(index: NDArray[np.int64], size: int, key: int) -> NDArray[np.int64]: ...
def permute(index: int | NDArray[np.int64], size: int, key: int) -> int | NDArray[np.int64]:
    """Where the permutation of range(size) that `key` names sends `index`, in O(1) time and memory.

    A Feistel network over a rectangle a x b that holds `size` cells, less than a of them too many; whoever
    lands on one of those walks on until inside (cycle walking: Black and Rogaway 2002, ciphers with arbitrary
    finite domains).
    """
    if isinstance(index, int):
        return int(permute(np.array([index], dtype=np.int64), size, key)[0])
    return permute_each(index, np.full(len(index), size, np.int64), [key] * len(index))


def permute_each(index: NDArray[np.int64], sizes: NDArray[np.int64], keys: Sequence[int]) -> NDArray[np.int64]:
    """`permute` of each index in a range and by a key of its own."""
    if len(index) and not (index.min() >= 0 and (index < sizes).all()):
        raise IndexError(f"index outside range({sizes[(index < 0) | (index >= sizes)][0]})")
    size = sizes.astype(np.uint64)
    shapes = np.array([_rectangle(one) for one in sizes.tolist()], np.uint64).reshape(-1, 2)
    rounds = np.array([_round_keys(key) for key in keys], np.uint64).reshape(-1, ROUNDS)
    cells = index.astype(np.uint64)
    outside = np.arange(len(cells))
    while len(outside):
        rows, columns = shapes[outside].T
        cells[outside] = _network(cells[outside], rows, columns, rounds[outside].T)
        outside = outside[cells[outside] >= size[outside]]
    return cells.astype(np.int64)


def _rectangle(size: int) -> tuple[int, int]:
    """Rows and columns of a rectangle that holds so many cells."""
    rows = isqrt(size - 1) + 1 if size > 1 else 1
    return rows, -(-size // rows)


@lru_cache(maxsize=1024)
def _round_keys(key: int) -> tuple[int, ...]:
    """The same for all of an epoch."""
    return tuple(hash64("feistel", key, round) for round in range(ROUNDS))


def _network(cells: U64, rows: U64, columns: U64, keys: U64) -> U64:
    """One pass, `keys` (rounds, n): each round shifts one coordinate by a hash of the other, so it can be undone."""
    row, column = np.divmod(cells, columns)
    for round, key in enumerate(keys):
        if round % 2:
            column = (column + _mix(row + key) % columns) % columns
        else:
            row = (row + _mix(column + key) % rows) % rows
    return row * columns + column


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64's finaliser (Steele, Lea and Flood 2014); products wrap at 64 bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
