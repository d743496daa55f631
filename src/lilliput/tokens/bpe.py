"""BPE trained on our own texts with `tokenizers`: special words first, then the 256 bytes, then the merges."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from pydantic import Field

from lilliput.config.settings import Fatal, settings
from lilliput.tokens.byte_level import ByteLevelBPE, byte_letters, byte_level, pieces
from lilliput.tokens.text import well_formed

PIECE = 1 << 13
"""Characters of a long text in one piece: the trainer takes 256 at once and 40 bytes for each of their characters."""


@settings
class BPEConfig:
    kind: Fatal[Literal["bpe"]] = "bpe"
    size: Fatal[int] = Field(default=4096, ge=257, le=1_000_000)
    """Number of ids; where the text gives fewer merges, the last ids stay unused."""
    special_tokens: Fatal[tuple[str, ...]] = Field(default=("<|endoftext|>",), min_length=1)
    """Words with ids of their own, from 0 on, that no text can spell; the first opens and closes documents."""

    def __post_init__(self) -> None:
        if len(set(self.special_tokens)) < len(self.special_tokens) or not all(self.special_tokens):
            raise ValueError("special_tokens: each is a word of its own")
        if self.size < 256 + len(self.special_tokens):
            raise ValueError("size: at least 256 bytes and the special tokens")


def train_bpe(config: BPEConfig, texts: Callable[[], Iterable[str]]) -> ByteLevelBPE:
    """Learn merges from texts, which are read twice: to learn, and to compare tiktoken's ids.

    The same texts give the same tokenizer, however they are cut into documents between words. Memory grows with the
    number of different words, not with the texts.
    """
    from tokenizers import models, trainers

    inner = byte_level(models.BPE(), ())
    trainer = trainers.BpeTrainer(
        vocab_size=config.size,
        special_tokens=list(config.special_tokens),
        initial_alphabet=list(byte_letters()),
        show_progress=False,
    )
    inner.train_from_iterator(_pieces(texts()), trainer)
    tokenizer = ByteLevelBPE(inner, kind="bpe", size=config.size, special=config.special_tokens, encoder="tokenizers")
    tokenizer.settle(_pieces(texts()))
    return tokenizer


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    return (piece for text in texts for piece in pieces(well_formed(text), PIECE))
