"""Tensor files in the safetensors format: written one tensor at a time, read with every number checked, without torch.

The format: 8 bytes of header length (little endian), a JSON header `{name: {dtype, shape, data_offsets}}` padded with
spaces, then the tensors' bytes without a hole (https://github.com/huggingface/safetensors).
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

from lilliput.runs.damage import Damaged
from lilliput.runs.durable import Buffer, FileRecord, write_new
from lilliput.runs.sealed import hash_file, open_regular, read_into

DTYPES = {
    name: np.dtype(code)
    for name, code in (
        *(("F64", "<f8"), ("F32", "<f4"), ("F16", "<f2"), ("BF16", "<u2"), ("BOOL", "|b1")),
        *(("I64", "<i8"), ("I32", "<i4"), ("I16", "<i2"), ("I8", "|i1")),
        *(("U64", "<u8"), ("U32", "<u4"), ("U16", "<u2"), ("U8", "|u1")),
    )
}
"""Name in the file -> numpy's; BF16, which numpy lacks, is read as the 16 bits it is made of."""

MAX_HEADER = 16 << 20
MAX_TENSORS = 1 << 16
MAX_RANK = 16

Array = np.ndarray[Any, np.dtype[Any]]
Produce = Callable[[], Buffer]


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies: its bytes begin and end at these offsets of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def write_tensors(
    path: Path, tensors: Iterable[tuple[str, str, tuple[int, ...], Produce]], metadata: Mapping[str, str] | None = None
) -> FileRecord:
    """Write a new file from (name, dtype name, shape, function that returns the bytes), one tensor in memory at a time.

    Wider types come first, so that each tensor is aligned. Raises ValueError for a repeated name or a wrong size.
    """
    ordered = sorted(tensors, key=lambda tensor: -DTYPES[tensor[1]].itemsize)
    text, end = _header(path, [(name, dtype, shape) for name, dtype, shape, _ in ordered], metadata)

    def chunks() -> Iterator[Buffer]:
        yield len(text).to_bytes(8, "little") + text
        for name, dtype, shape, produce in ordered:
            data = memoryview(produce())
            if data.nbytes != (need := _size(dtype, shape)):
                raise ValueError(f"{path}: {name} has {data.nbytes} bytes, {dtype}{list(shape)} needs {need}")
            yield data

    return write_new(path, chunks(), size=8 + len(text) + end)


def file_size(tensors: Iterable[tuple[str, str, tuple[int, ...]]]) -> int:
    """Bytes of the file that `write_tensors` would make of (name, dtype name, shape), to a few of its header."""
    text, end = _header(Path(), tensors, None)
    return 8 + len(text) + end


def read_tensors(path: Path, *, sha256: str | None = None) -> "TensorFile":
    """Open a tensor file after checking its header and, where given, its hash; raises Damaged.

    Memory: the header, then each tensor when it is asked for. The file is read, never mapped, so that one that shrinks
    meanwhile is an error and not a crash.
    """
    descriptor = open_regular(path)
    try:
        if sha256 is not None and hash_file(descriptor) != sha256:
            raise Damaged(path, "content differs from its hash")
        size = os.fstat(descriptor).st_size
        metadata, entries = _read_header(path, descriptor, size)
    except BaseException:
        os.close(descriptor)
        raise
    return TensorFile(path, descriptor, metadata, entries)


class TensorFile(Mapping[str, Array]):
    """An open tensor file as a mapping name -> array; each access reads that tensor anew. Use it in a `with`."""

    def __init__(self, path: Path, descriptor: int, metadata: dict[str, str], entries: dict[str, Entry]) -> None:
        self.path, self.metadata, self.entries = path, metadata, entries
        self._descriptor = descriptor

    def __getitem__(self, name: str) -> Array:
        entry = self.entries[name]
        raw = np.empty(entry.end - entry.start, np.uint8)
        os.lseek(self._descriptor, entry.start, os.SEEK_SET)
        if read_into(self._descriptor, raw.data) != len(raw):
            raise Damaged(self.path, "shrank while it was read")
        if entry.dtype == "BOOL" and raw.size and raw.max() > 1:
            raise Damaged(self.path, f"{name} is boolean and holds other values")
        return raw.view(DTYPES[entry.dtype]).reshape(entry.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _header(
    path: Path, tensors: Iterable[tuple[str, str, tuple[int, ...]]], metadata: Mapping[str, str] | None
) -> tuple[bytes, int]:
    """The header's text, and how many bytes of tensors follow it."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, dtype, shape in tensors:
        if name in header or name == "__metadata__":
            raise ValueError(f"{path}: two tensors are called {name}")
        start, end = end, end + _size(dtype, shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8), end


def _read_header(path: Path, descriptor: int, size: int) -> tuple[dict[str, str], dict[str, Entry]]:
    os.lseek(descriptor, 0, os.SEEK_SET)
    length = int.from_bytes(os.read(descriptor, 8), "little")
    if size < 8 or not 2 <= length <= min(MAX_HEADER, size - 8):
        raise Damaged(path, "is no tensor file: its header length is impossible")
    text = bytearray(length)
    if read_into(descriptor, memoryview(text)) != length or text[:1] != b"{":
        raise Damaged(path, "is no tensor file: its header is no JSON object")
    try:
        return _checked(_parsed(bytes(text)), first=8 + length, size=size)
    except (ValueError, RecursionError) as error:
        raise Damaged(path, f"has a malformed header: {error}") from None


def _parsed(text: bytes) -> dict[str, Any]:
    """The header's JSON; a text that would unfold into far more memory than its length is refused unread."""
    if text.count(b"{") > MAX_TENSORS or text.count(b"[") > 2 * MAX_TENSORS or text.count(b",") > 12 * MAX_TENSORS:
        raise ValueError(f"more than {MAX_TENSORS} tensors")
    header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_float=_refuse, parse_constant=_refuse)
    if not isinstance(header, dict):
        raise ValueError("no JSON object")
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(result := dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _refuse(literal: str) -> None:
    raise ValueError(f"{literal[:20]} is no integer")


def _checked(header: dict[str, Any], first: int, size: int) -> tuple[dict[str, str], dict[str, Entry]]:
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("__metadata__ maps words to words")
    entries = {name: _entry(name, raw, first) for name, raw in header.items()}
    spans = sorted((entry.start, entry.end) for entry in entries.values())
    edges = [(first, first), *spans, (size, size)]
    if any(end != start for (_, end), (start, _) in pairwise(edges)):
        raise ValueError("tensors overlap, leave a hole, or do not end where the file ends")
    return metadata, entries


def _entry(name: str, raw: Any, first: int) -> Entry:
    name.encode()  # a lone surrogate is a ValueError here instead of a surprise later
    if not isinstance(raw, dict) or set(raw) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name[:80]!r} needs dtype, shape and data_offsets")
    dtype, shape, offsets = raw["dtype"], raw["shape"], raw["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{name[:80]!r} has an unknown dtype")
    if not _naturals(shape, MAX_RANK) or not _naturals(offsets, 2) or len(offsets) != 2:
        raise ValueError(f"{name[:80]!r} has an impossible shape or place")
    if (
        _size(dtype, (max(1, length) for length in shape)) >= 1 << 63
    ):  # an empty tensor that no array can have as its shape
        raise ValueError(f"{name[:80]!r} has an impossible shape")
    start, end = offsets
    if end - start != _size(dtype, shape):
        raise ValueError(f"{name[:80]!r} does not fill its place")
    return Entry(dtype, tuple(shape), first + start, first + end)


def _naturals(value: Any, most: int) -> bool:
    """True for a list of at most `most` integers from 0 to 2^63 - 1, so that no product of them gets out of hand."""
    if not isinstance(value, list) or len(value) > most:
        return False
    return all(type(item) is int and 0 <= item < 1 << 63 for item in value)


def _size(dtype: str, shape: Iterable[int]) -> int:
    return math.prod(shape) * DTYPES[dtype].itemsize
