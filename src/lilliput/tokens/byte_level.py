"""Byte-level BPE: GPT-2's way to split and merge, encoded by tiktoken wherever its ids are those of `tokenizers`."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lilliput.runs import durable
from lilliput.tokens.record import damaged, write_record
from lilliput.tokens.text import well_formed

if TYPE_CHECKING:
    import tiktoken
    import tokenizers

Encoder = Literal["tiktoken", "tokenizers"]

SPLIT = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
"""GPT-2's pattern as tiktoken writes it: possessive, so that a long run cannot exhaust a backtracking engine."""

PIECE = 1 << 20
"""Characters that go to an encoder at once: an unbroken run costs it 35 bytes of memory for each of its own."""
BORDER = re.compile(r".*\w()[ \n]", re.DOTALL)
"""Up to the last place where a space follows a letter or digit, which no id reaches across."""

SPECIAL_CASES = (
    *(
        "",
        " ",
        "  ",
        "\n",
        " \n\n\t x",
        "a  b",
        "don't I'll WE'RE they've",
        "\x00\x7f\u0085\xa0\u200b\u3000\ufeff",
        "\r\n\r\n",
    ),
    *(
        "<|endoftext|>",
        "a <|endoftext|> b",
        "\u0130\u0149\ufb03\u1e9e",
        "e\u0301\u0327",
        "\U0001f469\u200d\U0001f680 \U0001f1ee\U0001f1f3",
    ),
    *(
        "\u65e5\u672c\u8a9e\u3002\u0e44\u0e17\u0e22 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 1\u00b2\u0663\u2167",
        "".join(map(chr, range(0x180))),
    ),
    *(unit * 700 for unit in ("a", " ", "ab", "\n", "-", "=-", "\t \n", "\xe9", "1", "\U0001f600")),
)


class ByteLevelBPE:
    """Ids by merges over bytes. The pieces of `inner` are the truth; tiktoken is the faster way to them."""

    def __init__(
        self, inner: "tokenizers.Tokenizer", *, kind: str, size: int, special: Sequence[str], encoder: Encoder
    ) -> None:
        """`special` words have ids of their own that no text reaches; the first opens and closes documents."""
        self.inner, self.kind, self.size, self.special = inner, kind, size, tuple(special)
        inner.encode_special_tokens = True  # a special word inside a text is plain text
        vocabulary = inner.get_vocab(with_added_tokens=True)
        self.begin = self.end = vocabulary[self.special[0]]
        self._pieces = [b""] * size
        alphabet = {letter: byte for byte, letter in enumerate(byte_letters())}
        for word, number in vocabulary.items():
            if word not in self.special:
                self._pieces[number] = bytes(alphabet[letter] for letter in word)
        described = [SPLIT, size, list(self.special), sorted(vocabulary.items()), _merges(inner)]
        self._content = sha256(json.dumps(described, ensure_ascii=True).encode()).hexdigest()
        self.use(encoder)

    @cached_property
    def _fast(self) -> "tiktoken.Encoding":
        import tiktoken

        ranks = {piece: number for number, piece in enumerate(self._pieces) if piece}
        # Without any special word tiktoken looks for the empty one at each byte, which takes as long as encoding.
        special = {self.special[0]: self.begin}
        return tiktoken.Encoding(self.kind, pat_str=SPLIT, mergeable_ranks=ranks, special_tokens=special)

    def encode(self, text: str) -> list[int]:
        parts = pieces(well_formed(text))
        if self.encoder == "tiktoken":
            return [number for part in parts for number in self._fast.encode_ordinary(part)]
        return [number for part in parts for number in self.inner.encode(part, add_special_tokens=False).ids]

    def encode_many(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        parts = [list(pieces(well_formed(text))) for text in texts]
        found = self._encode_pieces(list(chain.from_iterable(parts)))
        return [np.concatenate(list(islice(found, len(part)))) for part in parts]

    def _encode_pieces(self, parts: Sequence[str]) -> Iterator[NDArray[np.uint32]]:
        if self.encoder == "tokenizers":
            for encoding in self.inner.encode_batch_fast(parts, add_special_tokens=False):
                yield np.array(encoding.ids, np.uint32)
            return
        fast = self._fast
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # tiktoken lets go of the interpreter's lock
            yield from pool.map(lambda part: fast.encode_to_numpy(part, disallowed_special=()), parts)

    def decode(self, ids: Sequence[int]) -> str:
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return b"".join([self._pieces[i] for i in ids])

    def lengths(self) -> NDArray[np.int32]:
        return np.array([len(piece) for piece in self._pieces], np.int32)

    def save(self, folder: Path) -> None:
        durable.make_dir(folder)
        durable.write_new(folder / "tokenizer.json", self.inner.to_str(pretty=True).encode())
        write_record(folder, self.kind, self, special=list(self.special), encoder=self.encoder)

    @property
    def unused(self) -> int:
        """Ids that no text gets: more were asked for than the training text gave merges."""
        return self._pieces.count(b"") - len(self.special)

    def settle(self, texts: Iterable[str]) -> None:
        """Encode with tiktoken from here on if its ids equal those of `tokenizers` on these texts and special cases.

        The two may differ: tiktoken joins whatever two neighbours spell a known piece, `tokenizers` only the pair
        that was merged in training.
        """
        self.use("tiktoken" if self._agree(SPECIAL_CASES) and self._agree(texts) else "tokenizers")

    def use(self, encoder: Encoder) -> None:
        """Encode with this library; it is part of the fingerprint, since on some text the two may differ."""
        self.encoder = encoder
        self.fingerprint = sha256(f"{self._content} {encoder}".encode()).hexdigest()

    def _agree(self, texts: Iterable[str]) -> bool:
        rest = iter(texts)
        while batch := [well_formed(text) for text in islice(rest, 256)]:
            slow = self.inner.encode_batch_fast(batch, add_special_tokens=False)
            if any(self._fast.encode_ordinary(text) != found.ids for text, found in zip(batch, slow, strict=True)):
                return False
        return True


def pieces(text: str, most: int | None = None) -> Iterator[str]:
    """`text` in order, `most` characters (`PIECE`) at most; together they have its ids unless a run is longer."""
    start, most = 0, most or PIECE
    while len(text) - start > most:
        border = BORDER.match(text, start, start + most)
        stop = border.end(1) if border else start + most
        yield text[start:stop]
        start = stop
    yield text[start:] if start else text


def byte_letters() -> str:
    """The letter that stands for each byte in vocabulary files: itself where printable (GPT-2's own scheme)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in printable else next(others)) for byte in range(256))


def load_byte_level(folder: Path, record: dict[str, Any]) -> ByteLevelBPE:
    """The tokenizer that `save` wrote."""
    import tokenizers

    try:
        inner = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # `tokenizers` raises nothing narrower
        raise damaged(folder, "`tokenizer.json` cannot be read") from error
    return ByteLevelBPE(
        inner, kind=record["kind"], size=record["size"], special=record["special"], encoder=record["encoder"]
    )


def byte_level(model: "tokenizers.models.BPE", special: Sequence[str]) -> "tokenizers.Tokenizer":
    """`model` between GPT-2's splitting and its way back from letters to bytes."""
    import tokenizers
    from tokenizers import decoders, pre_tokenizers

    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(list(special))
    return inner


def _merges(inner: "tokenizers.Tokenizer") -> Any:
    return json.loads(inner.to_str())["model"]["merges"]
