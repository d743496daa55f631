"""Tokenizers by themselves: trained on a corpus and kept under a name, or compared on one."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.catalog import read
from lilliput.corpus.document import Part
from lilliput.corpus.reading import Reading
from lilliput.corpus.sources import Source
from lilliput.corpus.split import SplitConfig
from lilliput.runs import stop
from lilliput.runs.commit import commit_folder
from lilliput.runs.home import tokenizers
from lilliput.tokens import BPEConfig, BytesConfig, GPT2Config, HubConfig, TokenizerConfig, open_tokenizer
from lilliput.tokens.bpe import train_bpe
from lilliput.tokens.byte_level import ByteLevelBPE
from lilliput.tokens.report import Report, report
from lilliput.tokens.tokenizer import Tokenizer

FIXED: dict[str, TokenizerConfig] = {"bytes": BytesConfig(), "gpt2": GPT2Config()}


def train(source: Source, config: BPEConfig, output: str) -> tuple[ByteLevelBPE, Path, Report]:
    """Train on the training part of a source and save under a name or a path; nothing is overwritten."""
    folder = place(output)
    if folder.exists() or output in FIXED:
        raise LilliputError(f"the name is taken: {output}", "choose another `--output`", Exit.EXISTS)
    tokenizer = train_bpe(config, lambda: texts(source, "train"))
    commit_folder(folder, tokenizer.save)
    return tokenizer, folder, report(tokenizer, texts(source, "train"))


def compare(source: Source, names: Sequence[str]) -> dict[str, Report]:
    """What each tokenizer makes of the validation part of a source, which no tokenizer trained here has seen."""
    opened = {name: open_named(name) for name in names}
    return {name: report(tokenizer, texts(source, "validation")) for name, tokenizer in opened.items()}


def place(output: str) -> Path:
    """A name lies with the other tokenizers; anything with a separator is a path."""
    path = Path(output).expanduser()
    return tokenizers() / output if path.name == output and not output.startswith(".") else path


def texts(source: Source, part: Part) -> Iterator[str]:
    for _, document in read([source], SplitConfig(), Reading(), part):
        stop.yield_point()
        yield document.text


def open_named(name: str) -> Tokenizer:
    """The tokenizer that a word names: bytes, gpt2, one trained here, a folder, or one of the hub."""
    return open_tokenizer(FIXED.get(name) or HubConfig(name=name), None, tokenizers())
