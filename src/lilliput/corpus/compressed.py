"""Compressed files: gzip and zstandard streams in bounded blocks, refused when damaged, cut short or far too large."""

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from lilliput.config.errors import Exit, LilliputError


class Damaged(LilliputError):
    """A file of which nothing may be used; found before any of it was."""

    def __init__(self, cause: str, action: str) -> None:
        super().__init__(cause, action, Exit.CONTENT)


COMPRESSED = (".gz", ".zst")
BLOCK = 1 << 20
"""Bytes that leave at a time, at most, for gzip; for zstandard up to 32 MiB (256 run-length blocks of 128 KiB)."""
SLICE = 1 << 10
"""Compressed bytes that go into a zstandard decoder at a time."""
HARMLESS = 64 << 20
"""Bytes that may leave whatever the ratio is."""
DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, ValueError)
RATIO = 200
"""Expansion above which a file is called a bomb; text compresses 2 to 20 times."""


def verify(file: BinaryIO, suffix: str, name: str) -> None:
    """Read a compressed file to its last checksum.

    Raises Damaged, naming the line and byte of its text after which it is damaged or has become far too large.
    """
    size, number = 0, 1
    try:
        for block in decompress(file, suffix):
            size += len(block)
            number += block.count(b"\n")
            if size > max(HARMLESS, RATIO * file.tell()):
                cause = f"{name}: line {number} (byte {size}) of its text: it expands more than {RATIO} times"
                raise Damaged(cause, "decompress it yourself if you trust it")
    except DAMAGE as error:
        cause = f"{name} is damaged after line {number} (byte {size}) of its text: {str(error).lower().rstrip('.')}"
        raise Damaged(cause, "copy or download it again") from None


def decompress(file: BinaryIO, suffix: str) -> Iterator[bytes]:
    """Blocks of a compressed file, members and frames joined; ends well only if each checksum was right.

    Raises one of `DAMAGE`.
    """
    return _gzip(file) if suffix == ".gz" else _zstandard(file)


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file, mode="rb") as stream:
        if not (first := stream.read(BLOCK)) and file.tell() == 0:
            raise EOFError("no gzip stream")
        yield first
        yield from iter(lambda: stream.read(BLOCK), b"")


def _zstandard(file: BinaryIO) -> Iterator[bytes]:
    import zstandard

    decoder, is_open = zstandard.ZstdDecompressor().decompressobj(), False
    try:
        for data in _slices(file):
            while data:
                yield decoder.decompress(data)
                is_open, data = not decoder.eof, decoder.unused_data
                if not is_open:
                    decoder = zstandard.ZstdDecompressor().decompressobj()
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    if is_open or file.tell() == 0:
        raise EOFError("it ends within a frame")


def _slices(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield from (block[start : start + SLICE] for start in range(0, len(block), SLICE))
