"""What every tokenizer promises, whatever its kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Tokenizer(Protocol):
    size: int
    """Number of ids, special ones included: the model's vocabulary."""
    begin: int
    end: int
    """Ids that open and close a document; equal where one id has both roles."""
    fingerprint: str
    """sha256 over all that decides which ids a text gets."""

    def encode(self, text: str) -> list[int]:
        """Ids of `text` alone, without begin or end; special words in `text` are plain text."""
        ...

    def encode_many(self, texts: Sequence[str]) -> Sequence[NDArray[np.unsignedinteger[Any]]]:
        """As `encode`, in bulk on all cores."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, with U+FFFD for bytes that are no UTF-8; begin and end spell nothing."""
        ...

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """The exact bytes that ids spell; begin and end spell nothing."""
        ...

    def lengths(self) -> NDArray[np.int32]:
        """(V,) bytes that each id spells: 0 for begin, end and other special ids."""
        ...

    def save(self, folder: Path) -> None:
        """Write the files from which `load` builds the same tokenizer again."""
        ...
