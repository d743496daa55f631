"""What two resolved configurations differ in, and what each difference means to a run that is resumed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lilliput.config.fields import Place, fields, place, place_of
from lilliput.config.settings import Resume


@dataclass(frozen=True)
class Difference:
    """One key; `old` or `new` is None where only the other configuration has it."""

    key: str
    old: Any
    new: Any
    resume: Resume


def differences(kind: Any, old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    """Keys whose values differ, in the order of `new`, then those that only `old` has."""
    before = {key: (value, resume) for key, value, resume in leaves(place(kind), old)}
    after = {key: (value, resume) for key, value, resume in leaves(place(kind), new)}
    found = []
    for key, (_, resume) in {**after, **before}.items():
        left, right = before.get(key, (None, resume))[0], after.get(key, (None, resume))[0]
        if left != right or (key in before) != (key in after):
            found.append(Difference(key, left, right, after.get(key, (None, resume))[1]))
    return found


def leaves(at: Place, tree: Any, key: str = "", outer: Resume | None = None) -> Iterator[tuple[str, Any, Resume]]:
    """Key, value and resume class of each leaf; a class declared further out counts for all beneath it."""
    resume = outer or at.resume
    member = at.member(tree) if isinstance(tree, dict) else None
    if member is not None:
        known = fields(member)
        for name, value in tree.items():
            below = f"{key}.{name}" if key else name
            inner = place_of(known[name]) if name in known else Place(resume=Resume.SEMANTIC)
            yield from leaves(inner, value, below, resume)
    elif at.items is not None and isinstance(tree, list | dict):
        named = enumerate(tree) if isinstance(tree, list) else tree.items()
        for word, value in named:
            yield from leaves(at.items, value, f"{key}[{word}]" if isinstance(tree, list) else f"{key}.{word}", resume)
    else:
        # A tag without a class of its own: another member of a union is another thing.
        yield key, tree, resume or Resume.FATAL
