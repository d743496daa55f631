"""A corpus of a few files, cleaned file by file and together and made into shards, to be killed meanwhile."""

import os
from pathlib import Path

from lilliput.corpus.cleaning import Cleaning
from lilliput.corpus.duplicates import Duplicates
from lilliput.corpus.filters.length import ShortRule
from lilliput.corpus.near import Near
from lilliput.corpus.sources.text import TextSource
from lilliput.corpus.split import SplitConfig
from lilliput.stages.prepare import DataConfig, ValidationConfig, prepare
from lilliput.tokens.bytes import ByteTokenizer


def write(folder: Path, files: int, documents: int) -> None:
    """Texts of 10 to 60 words, some of them twice, some nearly so."""
    folder.mkdir(parents=True)
    for i in range(files):
        texts = [" ".join(f"w{j % 7}{k}" for k in range(10 + (i * j) % 50)) for j in range(documents)]
        (folder / f"{i}.txt").write_text("\n<|endoftext|>\n".join(texts), "utf-8")


def build(home: str, text: str, workers: int = 1, near: bool = False, clean: bool = True) -> int:
    """Prepare the files of the folder `text` in a home of their own."""
    os.environ["LILLIPUT_HOME"] = home
    duplicates = Duplicates(near=Near() if near else None)
    cleaning = Cleaning(rules=(ShortRule(min_words=12),), duplicates=duplicates, workers=workers)
    cleaning = cleaning if clean else Cleaning()
    sources = (TextSource(path=text),)
    data = DataConfig(sources=sources, cleaning=cleaning, split=SplitConfig(kind="hash", validation=0.3))
    prepare(data, ValidationConfig(), ByteTokenizer())
    return 0
