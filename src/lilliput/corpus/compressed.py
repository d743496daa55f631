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
HEAD = 512
"""Bytes by which an archive is known."""
FOREIGN = (
    *(b"PK\3\4", b"PK\5\6", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\7"),
    *(b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0"),
)
"""How zip, 7z, rar, gzip, zstandard and xz files begin; tar has its name further on."""
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


def no_archive(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The blocks of a text.

    Raises Damaged where they are an archive, of which nothing is ever unpacked, or compressed once more.
    """
    head: bytes | None = b""
    for block in blocks:
        if head is None:
            yield block
        elif len(head) + len(block) >= HEAD:
            yield _no_archive(head + block, name)
            head = None
        else:
            head += block
    if head:
        yield _no_archive(head, name)


def _no_archive(head: bytes, name: str) -> bytes:
    if head.startswith(FOREIGN) or head[257:262] == b"ustar":
        cause = f"{name}: line 1 (byte 0) begins an archive or a compressed file, not a text"
        raise Damaged(cause, "unpack it, and name the files in it; .gz and .zst are read where the name ends so")
    return head


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
