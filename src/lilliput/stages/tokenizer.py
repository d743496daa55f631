"""The tokenizer of a recipe: opened, or trained on the training part of its data."""

from collections.abc import Iterator

from lilliput import tokens
from lilliput.corpus import watching
from lilliput.runs.home import tokenizers
from lilliput.stages.prepare import DataConfig, texts
from lilliput.tokens.byte_level import ByteLevelBPE
from lilliput.tokens.tokenizer import Tokenizer


def open_tokenizer(config: tokens.TokenizerConfig, data: DataConfig) -> Tokenizer:
    """The tokenizer that `config` describes; training reads the training parts of `data` alone."""

    def training_texts() -> Iterator[str]:
        with watching.working("text for the tokenizer"):
            yield from (text for _, text in texts(data.sources, data, "train"))

    return tokens.open_tokenizer(config, training_texts, tokenizers())


def remarks(tokenizer: Tokenizer) -> Iterator[str]:
    """What a person should know of a tokenizer before a model is trained with it."""
    if not isinstance(tokenizer, ByteLevelBPE):
        return
    if tokenizer.encoder == "tokenizers":
        yield "tiktoken gives other ids for some texts: this tokenizer encodes with `tokenizers`, which is slower"
    if tokenizer.unused:
        size = tokenizer.size
        yield f"the text gave {size - tokenizer.unused:,} ids; {tokenizer.unused:,} of {size:,} stay unused"
