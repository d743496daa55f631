"""The sets of the hub that Lilliput knows by name: where each lies there, how its rows are meant, and its size."""

from dataclasses import dataclass, field

from lilliput.corpus.document import Part
from lilliput.corpus.joining import RowsAre

BOOKCORPUS = "rojagtap/bookcorpus"
"""The mirror of BookCorpus: the set's own repository is a script, which nothing loads any more. Named here only."""


@dataclass(frozen=True)
class Local:
    """Where a set, or a sample of it, lies below `LILLIPUT_DATA`, where its form is not that of the hub."""

    path: str
    """A file, or a folder whose files are read."""
    about: str
    """What it is, for output and manifests."""
    columns: tuple[str, ...] = ("text",)
    rows_are: RowsAre = "documents"
    are_rows: bool = False
    """True where each file of the folder is one row."""


@dataclass(frozen=True)
class Hosted:
    about: str
    license: str
    size: int
    """Bytes of text of the whole set, about."""
    rows: int
    """Rows of the train split, about."""
    repository: str
    subset: str | None = None
    splits: dict[Part, str] = field(default_factory=lambda: {"train": "train"})
    columns: tuple[str, ...] = ("text",)
    rows_are: RowsAre = "documents"
    local: tuple[Local, ...] = ()


_BOOKS = "public-domain books in its place"
_PARTS: dict[Part, str] = {"train": "train", "validation": "validation"}

HOSTED: dict[str, Hosted] = {
    "bookcorpus": Hosted(
        "11,000 novels by unpublished authors, a sentence a row, without their borders",
        "unknown (terms of Smashwords): do not pass it on",
        4_850_000_000,
        74_004_228,
        BOOKCORPUS,
        rows_are="sentences",
        local=(
            Local("bookcorpus", "your own copy", rows_are="sentences"),
            Local("books", _BOOKS, rows_are="books", are_rows=True),
        ),
    ),
    "gutenberg": Hosted(
        "48,000 English books of Project Gutenberg, a book a row",
        "public domain in the US",
        19_000_000_000,
        48_284,
        "sedthh/gutenberg_english",
        columns=("TEXT",),
        rows_are="books",
        local=(Local("books", "sample", rows_are="books", are_rows=True),),
    ),
    "openwebtext": Hosted(
        "web pages that people of Reddit liked", "CC0 packaging", 39_800_000_000, 8_013_769, "Skylion007/openwebtext"
    ),
    "c4": Hosted(
        "English web pages of Common Crawl, cleaned by rules",
        "ODC-BY",
        780_000_000_000,
        364_868_892,
        "allenai/c4",
        "en",
        _PARTS,
        local=(Local("web/c4_demo_head.jsonl", "sample"),),
    ),
    "fineweb": Hosted(
        "web pages of Common Crawl, filtered (the sample of 10 billion tokens)",
        "ODC-BY",
        46_000_000_000,
        14_868_862,
        "HuggingFaceFW/fineweb",
        "sample-10BT",
    ),
    "fineweb-edu": Hosted(
        "fineweb's pages of educational value (the sample of 10 billion tokens)",
        "ODC-BY",
        46_000_000_000,
        9_672_101,
        "HuggingFaceFW/fineweb-edu",
        "sample-10BT",
    ),
    "wikipedia": Hosted(
        "the English Wikipedia of 1 November 2023, an article a row, its title first",
        "CC BY-SA 3.0 and GFDL",
        20_200_000_000,
        6_407_814,
        "wikimedia/wikipedia",
        "20231101.en",
        columns=("title", "text"),
        local=(Local("wikipedia/wiki_demo_head.txt", "sample"),),
    ),
    "stackexchange": Hosted(
        "questions of Stack Exchange with their best answers, HTML stripped",
        "CC BY-SA 4.0",
        22_100_000_000,
        10_741_532,
        "HuggingFaceH4/stack-exchange-preferences",
        rows_are="posts",
        local=(Local("web/stack_exchange_head.jsonl", "sample"),),
    ),
    "github": Hosted(
        "Python files of GitHub, deduplicated (codeparrot)",
        "each file its own (column `license`)",
        50_000_000_000,
        5_300_000,
        "codeparrot/codeparrot-clean-train",
        columns=("content",),
        local=(Local("code/files", "sample", are_rows=True),),
    ),
    "pile": Hosted(
        "the Pile without its copyrighted parts",
        "each part its own",
        800_000_000_000,
        177_000_000,
        "monology/pile-uncopyrighted",
        splits={**_PARTS, "test": "test"},
    ),
    "slimpajama": Hosted(
        "a sample of 6 billion tokens of SlimPajama, successor of the Pile and RedPajama",
        "each part its own",
        24_000_000_000,
        5_489_000,
        "DKYoon/SlimPajama-6B",
        splits={**_PARTS, "test": "test"},
    ),
}

ALIASES = {"bookcorpus/bookcorpus": "bookcorpus"}
"""Repositories that cannot be loaded, and the set that stands for them."""

SHAPES: dict[str, tuple[tuple[str, ...], RowsAre]] = {
    **{hosted.repository: (hosted.columns, hosted.rows_are) for hosted in HOSTED.values()},
    "Salesforce/wikitext": (("text",), "lines"),
}
"""Columns and rows of known repositories, whatever name a recipe calls them by."""
