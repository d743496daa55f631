"""Tokenizers by the word that a command line gives."""

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs.home import tokenizers
from lilliput.tokens import BytesConfig, GPT2Config, HubConfig, TokenizerConfig, open_tokenizer
from lilliput.tokens.tokenizer import Tokenizer

FIXED: dict[str, TokenizerConfig] = {"bytes": BytesConfig(), "gpt2": GPT2Config()}
"""Names that no tokenizer of one's own may take."""


def open_named(name: str) -> Tokenizer:
    """The tokenizer that a word names: bytes, gpt2, one trained here, a folder, or one of the hub."""
    if not name:
        raise LilliputError(
            "no tokenizer is named", "it may be bytes, gpt2, a name, a folder or a hub name", Exit.USAGE
        )
    return open_tokenizer(FIXED.get(name) or HubConfig(name=name), None, tokenizers())
