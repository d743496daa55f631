"""The sets that Lilliput knows by name: what they are, their licence and size, and where their files come from."""

from dataclasses import dataclass
from typing import Literal

from lilliput.corpus.document import Part


@dataclass(frozen=True)
class Packaged:
    """A file that is part of Lilliput."""


@dataclass(frozen=True)
class Web:
    """A file at an address whose content is known."""

    url: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Hub:
    """Files of a data set on the hub; several, or parquet, become one text file here."""

    repository: str
    pattern: str


@dataclass(frozen=True)
class File:
    """One file of a set."""

    part: Part | None
    name: str
    """The file's name here."""
    remote: Packaged | Web | Hub
    local: str | None = None
    """Where it, or a sample of it, lies below `LILLIPUT_DATA`."""
    is_sample: bool = False
    """True where the local file is only a sample of the remote one."""


@dataclass(frozen=True)
class Published:
    about: str
    license: str
    size: int
    """Bytes of text, about, where the set has no known exact size."""
    origin: str
    files: tuple[File, ...]
    divide: Literal["separator", "articles"] = "separator"


def _wikitext(config: str, size: int, about: str, local: str | None = None) -> Published:
    parts: tuple[Part, ...] = ("train", "validation", "test")
    files = tuple(
        File(
            part,
            f"{part}.txt",
            Hub("Salesforce/wikitext", f"{config}/{part}-*.parquet"),
            local if part == "validation" else None,
        )
        for part in parts
    )
    return Published(about, "CC BY-SA 3.0 and GFDL", size, f"hub: Salesforce/wikitext, {config}", files, "articles")


def _one(name: str, remote: Web, local: str) -> tuple[File, ...]:
    return (File(None, name, remote, local),)


_VERDICT = Web(
    "https://raw.githubusercontent.com/rasbt/LLMs-from-scratch/main/ch02/01_main-chapter-code/the-verdict.txt",
    20_479,
    "b41e41a68f0398a3154ae69e2e4c0e2694e17fe0d66730536837f1b01935b31f",
)
_SHAKESPEARE = Web(
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    1_115_394,
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
_STORIES = "roneneldan/TinyStories"

PUBLISHED: dict[str, Published] = {
    "tiny": Published(
        "a few sentences about machine learning, for smoke tests",
        "MIT",
        544,
        "part of lilliput",
        (File(None, "tiny.txt", Packaged()),),
    ),
    "verdict": Published(
        "The Verdict, a story by Edith Wharton (1908)",
        "public domain",
        _VERDICT.size,
        "github: rasbt/LLMs-from-scratch",
        _one("the-verdict.txt", _VERDICT, "the_verdict/the-verdict.txt"),
    ),
    "shakespeare": Published(
        "tiny shakespeare: 40,000 lines from the plays",
        "public domain",
        _SHAKESPEARE.size,
        "github: karpathy/char-rnn",
        _one("input.txt", _SHAKESPEARE, "tiny_shakespeare/input.txt"),
    ),
    "tinystories": Published(
        "2.1 million short stories in the words of small children, written by GPT-3.5 and GPT-4",
        "CDLA-Sharing-1.0",
        1_940_000_000,
        f"hub: {_STORIES}",
        (
            File("train", "train.txt", Hub(_STORIES, "TinyStories-train.txt"), "tinystories/train_sample.jsonl", True),
            File(
                "validation",
                "validation.txt",
                Hub(_STORIES, "TinyStories-valid.txt"),
                "tinystories/valid_sample.jsonl",
                True,
            ),
        ),
    ),
    "wikitext-2": _wikitext("wikitext-2-raw-v1", 13_000_000, "Wikipedia's good articles, about 2 million words"),
    "wikitext-103": _wikitext("wikitext-103-raw-v1", 545_000_000, "Wikipedia's good articles, about 100 million words"),
    "wikitext-2-v1": _wikitext(
        "wikitext-2-v1", 13_000_000, "wikitext-2 with rare words as <unk>", "wikitext2/valid.txt"
    ),
    "wikitext-103-v1": _wikitext("wikitext-103-v1", 540_000_000, "wikitext-103 with rare words as <unk>"),
}
