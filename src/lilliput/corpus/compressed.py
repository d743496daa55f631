"""Compressed files: gzip and zstandard streams in bounded blocks, refused when damaged, cut short or far too large."""

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from lilliput.config.errors import Exit, LilliputError

COMPRESSED = (".gz", ".zst")
BLOCK = 1 << 20
"""Bytes that leave at a time, at most, for gzip; for zstandard up to 32 MiB (256 run-length blocks of 128 KiB)."""
SLICE = 1 << 10
"""Compressed bytes that go into a zstandard decoder at a time."""
HARMLESS = 64 << 20
"""Bytes that may leave whatever the ratio is."""
RATIO = 200
"""Expansion above which a file is called a bomb; text compresses 2 to 20 times."""


def decompress(file: BinaryIO, suffix: str, name: str) -> Iterator[bytes]:
    """Blocks of a compressed file, members and frames joined; ends well only if each checksum was right.

    Raises LilliputError (CONTENT) naming the damage.
    """
    total = 0
    for block in _refusing(_gzip(file) if suffix == ".gz" else _zstandard(file), name):
        total += len(block)
        if total > max(HARMLESS, RATIO * file.tell()):
            cause = f"{name} expands more than {RATIO} times: it is no text"
            raise LilliputError(cause, "decompress it yourself if you trust it", Exit.CONTENT)
        yield block


def _refusing(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    try:
        yield from blocks
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        cause = f"{name} is damaged: {str(error).lower().rstrip('.')}"
        raise LilliputError(cause, "copy or download it again", Exit.CONTENT) from None


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
