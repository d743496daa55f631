"""Rows that are less or more than a document: lines of articles, sentences and books become documents."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

RowsAre = Literal["documents", "lines", "sentences", "books", "posts"]
Rows = Iterable[tuple[str, str]]
"""(key, text) pairs in the order of the set."""

CHUNK_WORDS = 500
"""Words after which consecutive sentences make a document."""
DROPPED_BOOK = "short book"
DROPPED_ROW = "blank"

TITLE = re.compile(r" = [^=\n](?:[^\n]{0,1000}[^=\n])? = \n?")
"""WikiText: ` = Title = ` opens an article after a blank line; ` = = Section = = ` does not."""
NUMBER = (
    r"(?:\d+|[ivxlc]+|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    r"|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|the first|the last)(?:[ -]+[a-z]{3,5})?)"
)
CHAPTER = re.compile(rf"(?:(?:chapter|part|book|volume) {NUMBER}|prologue|epilogue)(?: ?[.:-].{{0,60}})?")
"""A row of BookCorpus (lower case, tokens apart) that is a chapter's heading."""
HEADING = re.compile(
    r"(?:\A|\n[ \t]*\n)(?=[ \t]*(?:(?:chapter|book|part|stave|letter|volume)[ \t]+(?:[\divxlc]+\b|[a-z]+[ \t]*\n)"
    r"|(?:prologue|epilogue)\b)[^\n]{0,80}\n[ \t]*\n)",
    re.IGNORECASE,
)
"""The blank line before a heading that stands alone between blank lines, as books have it and their contents do not."""
PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")


@dataclass(frozen=True)
class Joining:
    """How rows become documents; the options of a source, resolved."""

    rows_are: RowsAre = "documents"
    chunk_words: int | None = None
    chapter_boundaries: bool = False
    min_book_words: int | None = None


def join(rows: Rows, how: Joining, dropped: Counter[str]) -> Iterator[tuple[str, str]]:
    """(key, text) of each document; a document has the key of its first row. `dropped` counts books left out."""
    match how.rows_are:
        case "lines":
            return articles(rows)
        case "sentences":
            return chunks(rows, how.chunk_words or CHUNK_WORDS, how.chapter_boundaries)
        case "books":
            return books(rows, how, dropped)
        case "documents" | "posts":
            return iter(rows)


def articles(rows: Rows) -> Iterator[tuple[str, str]]:
    """WikiText's rows, each a line or "" for a blank one, as whole articles."""
    first, held, after_blank, has_words = "", list[str](), True, False
    for key, row in rows:
        line = row if row.endswith("\n") else f"{row or ' '}\n"
        if has_words and after_blank and TITLE.fullmatch(line):
            yield first, "".join(held)
            held, has_words = [], False
        first = first if held else key
        held.append(line)
        after_blank = line.isspace()
        has_words = has_words or not after_blank
    if has_words:
        yield first, "".join(held)


def chunks(rows: Rows, words: int, chapters: bool) -> Iterator[tuple[str, str]]:
    """Consecutive sentences joined by spaces until they have `words` words; with `chapters`, a heading begins anew."""
    first, held, count = "", list[str](), 0
    for key, row in rows:
        sentence = row.strip()
        if not sentence:
            continue
        if held and (count >= words or (chapters and CHAPTER.fullmatch(sentence.lower()))):
            yield first, " ".join(held)
            held, count = [], 0
        first = first if held else key
        held.append(sentence)
        count += len(sentence.split())
    if held:
        yield first, " ".join(held)


def books(rows: Rows, how: Joining, dropped: Counter[str]) -> Iterator[tuple[str, str]]:
    """Whole books, or their chapters, or chunks of whole paragraphs; books under `min_book_words` are left out."""
    for key, book in rows:
        if how.min_book_words is not None and len(book.split()) < how.min_book_words:
            dropped[DROPPED_BOOK] += 1
            continue
        text = book.replace("\r\n", "\n")
        parts = _cut(text, HEADING) if how.chapter_boundaries else [text]
        if how.chunk_words is not None:
            parts = [chunk for part in parts for chunk in _paragraphs(part, how.chunk_words)]
        numbered = [(f"{key}#{number}" if len(parts) > 1 else key, part) for number, part in enumerate(parts, 1)]
        yield from ((name, part) for name, part in numbered if not part.isspace())


def _cut(text: str, before: re.Pattern[str]) -> list[str]:
    """The pieces of a text that begin after each match; nothing of it is lost."""
    edges = [match.end() for match in before.finditer(text) if match.end()]
    return [text[start:stop] for start, stop in zip([0, *edges], [*edges, len(text)], strict=True) if stop > start]


def _paragraphs(text: str, words: int) -> Iterator[str]:
    """Consecutive paragraphs until they have `words` words; nothing of the text is lost."""
    start, count, done = 0, 0, 0
    for match in PARAGRAPH.finditer(text):
        count += len(text[done : match.start()].split())
        done = match.end()
        if count >= words:
            yield text[start:done]
            start, count = done, 0
    if start < len(text):
        yield text[start:]
