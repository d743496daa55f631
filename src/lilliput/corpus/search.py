"""Words and patterns found in documents: counted in all of them, shown with what stands around them."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.document import Document, Part

AROUND = 200
"""Characters kept on each side of a match."""
LINES_AT_ONCE = 10_000
PRIVATE = range(0xF0000, 0xFFFFE)
"""Characters of private use; two that a text lacks mark its matches."""

Matches = Callable[[str], Iterator[tuple[int, int]]]
"""A text -> (start, stop) of each place where something stands, in order."""


@dataclass(frozen=True)
class Hit:
    source: str
    key: str
    part: Part | None
    word: str
    """What was searched for."""
    position: int
    """Characters of the document before the match."""
    before: str
    match: str
    after: str


@dataclass
class Counted:
    occurrences: int = 0
    documents: int = 0


@dataclass
class Found:
    documents: int = 0
    characters: int = 0
    words: dict[str, Counted] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    """The first of each word, as many as were asked for, as they stand in the documents."""


def search(documents: Iterable[Document], wanted: dict[str, Matches], number: int) -> Found:
    """Count what is wanted in all documents; the first `number` places of each come with what stands around them."""
    found, room = Found(words={word: Counted() for word in wanted}), dict.fromkeys(wanted, number)
    for document in documents:
        found.documents += 1
        found.characters += len(document.text)
        first = len(found.hits)
        for word, matches in wanted.items():
            places = matches(document.text)
            shown = list(islice(places, room[word]))
            room[word] -= len(shown)
            found.hits.extend(_hit(document, word, start, stop) for start, stop in shown)
            count = len(shown) + sum(1 for _ in places)
            found.words[word].occurrences += count
            found.words[word].documents += count > 0
        found.hits[first:] = sorted(found.hits[first:], key=lambda hit: hit.position)
    return found


def _hit(document: Document, word: str, start: int, stop: int) -> Hit:
    text = document.text
    before, after = text[max(0, start - AROUND) : start], text[stop : stop + AROUND]
    return Hit(document.source, document.key, document.part, word, start, before, text[start:stop], after)


def words(wanted: Sequence[str], *, whole: bool = False, case: bool = False) -> dict[str, Matches]:
    """Each word as it stands, in any case unless `case`; any white space in it matches any other.

    `whole` leaves out those that are part of a longer word. Raises LilliputError (USAGE) for nothing to search for.
    """
    return {word: _literal(word, whole, case) for word in _something(wanted)}


def _literal(word: str, whole: bool, case: bool) -> Matches:
    compiled, lowered = (
        re.compile(_spelled(w, whole), flag) for w, flag in ((word, 0 if case else re.IGNORECASE), (word.lower(), 0))
    )

    def matches(text: str) -> Iterator[tuple[int, int]]:
        # In small letters a text is searched eight times as fast; beyond ASCII that may change its length.
        quick = not case and word.isascii() and text.isascii()
        found = lowered.finditer(text.lower()) if quick else compiled.finditer(text)
        return (match.span() for match in found)

    return matches


def _spelled(word: str, whole: bool) -> str:
    pattern = r"\s++".join(re.escape(piece) for piece in word.split())
    return rf"(?<!\w){pattern}(?!\w)" if whole else pattern


def patterns(wanted: Sequence[str], *, case: bool = False) -> dict[str, Matches]:
    """Regular expressions as RE2 reads them, whose time grows with the text alone; a match lies within one line.

    Raises LilliputError: USAGE for what RE2 refuses, UNAVAILABLE where pyarrow is not installed.
    """
    return {pattern: _regular(pattern, case) for pattern in _something(wanted)}


def _regular(pattern: str, case: bool) -> Matches:
    try:
        import pyarrow
        from pyarrow import compute
    except ImportError:
        action = "pip install 'lilliput[data]', or search for words without `--regex`"
        raise LilliputError("regular expressions need pyarrow, for its RE2", action, Exit.UNAVAILABLE) from None
    whole = f"({'' if case else '(?i)'}{pattern})"

    def marked(lines: list[str], marks: tuple[str, str]) -> list[str]:
        array = pyarrow.array(lines, pyarrow.large_string())
        found: list[str] = compute.replace_substring_regex(array, whole, rf"{marks[0]}\1{marks[1]}").to_pylist()
        return found

    try:
        compute.match_substring_regex(pyarrow.array([""]), pattern)  # alone, so that no bracket closes ours
        of_nothing = marked([""], ("<", ">"))
    except pyarrow.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ").replace(whole, pattern)
        cause = f"`{pattern}` is no regular expression of RE2: {reason}"
        raise LilliputError(cause, "RE2 has neither look-around nor back-references", Exit.USAGE) from None
    if of_nothing != [""]:
        cause = f"`{pattern}` matches where nothing stands"
        raise LilliputError(cause, "write a pattern of at least one character", Exit.USAGE)
    return lambda text: _places(text, marked)


def _places(text: str, marked: Callable[[list[str], tuple[str, str]], list[str]]) -> Iterator[tuple[int, int]]:
    first, second = islice((mark for mark in map(chr, PRIVATE) if mark not in text), 2)
    rest, line_start = _lines(text), 0
    while lines := list(islice(rest, LINES_AT_ONCE)):
        for line, found in zip(lines, marked(lines, (first, second)), strict=True):
            between, *pieces = found.split(first)
            start = line_start + len(between)
            for piece in pieces:
                match, _, between = piece.partition(second)
                if match:
                    yield start, start + len(match)
                start += len(match) + len(between)
            line_start += len(line) + 1


def _lines(text: str) -> Iterator[str]:
    """Lines without their ends, one after another."""
    start = 0
    while (stop := text.find("\n", start)) >= 0:
        yield text[start:stop]
        start = stop + 1
    yield text[start:]


def _something(wanted: Sequence[str]) -> list[str]:
    if not all(word.strip() for word in wanted) or not wanted:
        raise LilliputError("there is nothing to search for", "name a word", Exit.USAGE)
    return list(dict.fromkeys(wanted))
