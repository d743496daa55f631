"""The tokenizer of a recipe: opened, or trained on the training part of its data."""

from collections.abc import Iterator

from lilliput import tokens
from lilliput.runs.home import tokenizers
from lilliput.stages.prepare import DataConfig, texts
from lilliput.tokens.tokenizer import Tokenizer


def open_tokenizer(config: tokens.TokenizerConfig, data: DataConfig) -> Tokenizer:
    """The tokenizer that `config` describes; training reads the training parts of `data` alone."""

    def training_texts() -> Iterator[str]:
        return (text for _, text in texts(data.sources, data, "train"))

    return tokens.open_tokenizer(config, training_texts, tokenizers())
