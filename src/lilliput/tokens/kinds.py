"""The kinds of tokenizers: their union, what each says without files, opening and loading."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from lilliput.config.errors import Exit, LilliputError
from lilliput.tokens.bpe import BPEConfig, train_bpe
from lilliput.tokens.byte_level import load_byte_level
from lilliput.tokens.bytes import BytesConfig, ByteTokenizer
from lilliput.tokens.gpt2 import SIZE, GPT2Config, open_gpt2
from lilliput.tokens.hub import HubConfig, load_hub, open_hub
from lilliput.tokens.record import NAME, damaged, read_record
from lilliput.tokens.tokenizer import Tokenizer

TokenizerConfig = Annotated[BytesConfig | BPEConfig | GPT2Config | HubConfig, Field(discriminator="kind")]

LOADERS: dict[str, Callable[[Path, dict[str, Any]], Tokenizer]] = {
    "bytes": lambda folder, record: ByteTokenizer(),
    "bpe": load_byte_level,
    "gpt2": load_byte_level,
    "hub": load_hub,
}


def vocabulary(config: TokenizerConfig) -> int | None:
    """Number of ids that a configuration states without files; None where only the files know."""
    if isinstance(config, BytesConfig):
        return ByteTokenizer.size
    if isinstance(config, BPEConfig):
        return config.size
    return SIZE if isinstance(config, GPT2Config) else None


def open_tokenizer(config: TokenizerConfig, texts: Callable[[], Iterable[str]] | None, cache: Path) -> Tokenizer:
    """Build the tokenizer of a recipe: from nothing, from files, or trained on `texts` (read twice).

    `cache` holds tokenizers by name: those saved there, and what comes from the hub. What is trained here is not
    kept: the caller saves it where it belongs.
    """
    if isinstance(config, BytesConfig):
        return ByteTokenizer()
    if isinstance(config, GPT2Config):
        return open_gpt2(cache)
    if isinstance(config, HubConfig):
        saved = next((f for f in (Path(config.name).expanduser(), cache / config.name) if (f / NAME).is_file()), None)
        return load(saved) if saved else open_hub(config, cache)
    if texts is None:
        raise LilliputError("this tokenizer has to be trained first", "give it texts", Exit.MISSING)
    return train_bpe(config, texts)


def load(folder: Path) -> Tokenizer:
    """The tokenizer that was saved in a folder, compared with the fingerprint it was saved with."""
    record = read_record(folder)
    if record.get("kind") not in LOADERS:
        raise damaged(folder, f"it names no known kind, but `{record.get('kind')}`")
    try:
        tokenizer = LOADERS[record["kind"]](folder, record)
    except (KeyError, TypeError, IndexError) as error:
        raise damaged(folder, f"`{NAME}` lacks {error}") from error
    if tokenizer.fingerprint != record.get("fingerprint"):
        raise damaged(folder, "it is not the one whose fingerprint is recorded")
    return tokenizer
