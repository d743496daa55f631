"""Tokenizers by themselves: trained on text and kept under a name, or compared side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.document import Part
from lilliput.corpus.languages import teller
from lilliput.runs.commit import commit_folder
from lilliput.runs.home import tokenizers
from lilliput.stages.looking import Looked, Seen, seen
from lilliput.stages.named import FIXED, open_named
from lilliput.tokens import BPEConfig
from lilliput.tokens.bpe import train_bpe
from lilliput.tokens.byte_level import ByteLevelBPE
from lilliput.tokens.report import Labelled, Report, reports
from lilliput.tokens.tokenizer import Tokenizer

MEASURED = 16 << 20
"""Bytes of a corpus that tokenizers are compared on, unless a person says otherwise."""
ALL = "all"


@dataclass(frozen=True)
class Compared:
    """Reports by tokenizer, of each source and of each language."""

    by_source: dict[str, dict[str, Report]]
    by_language: dict[str, dict[str, Report]]
    """Empty where languages are not told."""
    all: dict[str, Report]
    is_whole: bool
    """False where a corpus holds more than was read."""


def train(corpora: Sequence[Looked], config: BPEConfig, output: str) -> tuple[ByteLevelBPE, Path]:
    """Train on the training parts of all that is given and save under a name or a path; nothing is overwritten."""
    folder = place(output)
    if folder.exists() or output in FIXED:
        raise LilliputError(f"the name is taken: {output}", "choose another `--output`", Exit.EXISTS)
    tokenizer = train_bpe(config, lambda: (one.text or "" for looked in corpora for one in seen(looked, "train")))
    commit_folder(folder, tokenizer.save)
    return tokenizer, folder


def compare(
    corpora: Sequence[Looked], names: Sequence[str], part: Part | None, *, most: int = MEASURED, languages: bool = False
) -> Compared:
    """What each tokenizer makes of a part of some corpora; of each the first `most` bytes, in whole documents."""
    return compared(corpora, {name: open_named(name) for name in names}, part, most=most, languages=languages)


def compared(
    corpora: Sequence[Looked],
    opened: dict[str, Tokenizer],
    part: Part | None,
    *,
    most: int = MEASURED,
    languages: bool = False,
) -> Compared:
    """As `compare`, with tokenizers at hand."""
    cut = list[str]()
    tell = teller() if languages else None

    def labelled() -> Iterator[Labelled]:
        for looked in corpora:
            for one in _first(seen(looked, part), most, cut):
                yield (
                    [ALL, f"source {one.source}", *([f"language {tell(one.text or '')}"] if tell else [])],
                    one.text or "",
                )

    found = reports(opened, labelled())
    by_kind = {
        kind: {group.removeprefix(kind): of for group, of in found.items() if group.startswith(kind)}
        for kind in ("source ", "language ")
    }
    ranked = sorted(by_kind["language "].items(), key=lambda pair: (-next(iter(pair[1].values())).bytes, pair[0]))
    return Compared(by_kind["source "], dict(ranked), found[ALL], not cut)


def _first(documents: Iterator[Seen], most: int, cut: list[str]) -> Iterator[Seen]:
    """The first documents within `most` bytes, a longer first one cut; a corpus that holds more is noted in `cut`."""
    left = most
    for one in documents:
        if one.bytes > left:
            cut.append(one.source)
            if left == most:
                yield replace(one, text=(one.text or "").encode()[:most].decode(errors="ignore"))
            return
        left -= one.bytes
        yield one


def place(output: str) -> Path:
    """A name lies with the other tokenizers; anything with a separator is a path."""
    path = Path(output).expanduser()
    return tokenizers() / output if path.name == output and not output.startswith(".") else path
