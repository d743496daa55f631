"""What written text shows by itself: variety, repetition, whole characters, and what it took over verbatim."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def distinct(texts: Iterable[str], n: int = 2) -> float:
    """Share of the texts' word n-grams that differ from all others (Li et al. 2016, arXiv 1510.03055); 1 if none."""
    grams = [gram for text in texts for gram in _grams(text.split(), n)]
    return len(set(grams)) / len(grams) if grams else 1.0


def repetition(text: str, n: int = 4) -> float:
    """Share of a text's word n-grams that it had used before (Welleck et al. 2019, arXiv 1908.04319): 0 is best."""
    return 1.0 - distinct([text], n)


def utf8_validity(texts: Sequence[bytes]) -> float:
    """Share of bytes that belong to whole UTF-8 characters; a last character that was cut short is left out."""
    whole = total = 0
    for text in texts:
        valid, invalid = _bytes_of(text)
        whole, total = whole + valid, total + valid + invalid
    return whole / total if total else 1.0


@dataclass(frozen=True)
class Verbatim:
    """The longest stretch that a text shares with another."""

    length: int
    """Characters."""
    start: int
    """Where it begins in the written text."""
    text: str


def longest_verbatim(written: str, training: Iterable[str]) -> Verbatim:
    """The longest stretch of `written` that stands in one of the training texts; the first of equals."""
    best, at = 0, 0
    for text in training:
        start = 0
        while start + best < len(written):
            if written[start : start + best + 1] in text:
                best, at = best + 1, start
            else:
                start += 1
    return Verbatim(best, at, written[at : at + best])


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _bytes_of(text: bytes) -> tuple[int, int]:
    """Bytes inside whole characters, and bytes that belong to none."""
    valid = invalid = 0
    while text:
        try:
            text.decode()
            return valid + len(text), invalid
        except UnicodeDecodeError as error:
            valid += error.start
            if error.reason == "unexpected end of data":
                return valid, invalid
            invalid += error.end - error.start
            text = text[error.end :]
    return valid, invalid
