"""Bytes as tokens: exactly 256 ids, with two bytes that UTF-8 never contains as begin and end."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lilliput.config.settings import Fatal, settings
from lilliput.tokens.record import write_record
from lilliput.tokens.text import well_formed

BEGIN, END = 0xFE, 0xFF


@settings
class BytesConfig:
    kind: Fatal[Literal["bytes"]] = "bytes"


class ByteTokenizer:
    """Each id is the byte of its value; nothing is trained and nothing is stored."""

    size = 256
    begin, end = BEGIN, END
    fingerprint = sha256(b"lilliput bytes 1: 256 ids, begin 254, end 255").hexdigest()

    def encode(self, text: str) -> list[int]:
        return list(well_formed(text).encode())

    def encode_many(self, texts: Sequence[str]) -> list[NDArray[np.uint8]]:
        return [np.frombuffer(well_formed(text).encode(), dtype=np.uint8) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return bytes(int(i) for i in ids if i not in (BEGIN, END))

    def lengths(self) -> NDArray[np.int32]:
        lengths = np.ones(self.size, dtype=np.int32)
        lengths[[BEGIN, END]] = 0
        return lengths

    def save(self, folder: Path) -> None:
        write_record(folder, "bytes", self)
