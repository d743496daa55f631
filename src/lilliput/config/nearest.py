"""The known name nearest to a mistaken one."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that a mistaken word most likely meant, if one is near."""
    names = list(known)
    same = [name for name in names if name.lower() == word.lower()]
    return next(iter(same or difflib.get_close_matches(word, names, n=1, cutoff=0.65)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean family?`, or nothing."""
    name = nearest(word, known)
    return f"; did you mean {name}?" if name else ""
