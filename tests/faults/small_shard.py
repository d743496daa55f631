"""A shard of a few documents, to be killed while it is written."""

from pathlib import Path

from lilliput.tokens.bytes import ByteTokenizer
from lilliput.tokens.shards import write_shard

DOCUMENTS = [(0, "one"), (1, "two and a half"), (0, "three")]


def write(path: str) -> int:
    """Write the shard `path`."""
    write_shard(Path(path), DOCUMENTS, ByteTokenizer())
    return 0
