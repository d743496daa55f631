"""What is wrong with a recipe, one line per problem: the full key, what was found, and what it may be."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from lilliput.config.fields import Place, fields, place_of
from lilliput.config.nearest import did_you_mean
from lilliput.config.wording import may_be, names_possible


def problems(at: Place, tree: Any, error: ValidationError) -> list[str]:
    """One line for each key, also where pydantic lists one problem for each type that the value might have had."""
    lines: dict[str, None] = {}
    for problem in error.errors(include_url=False):
        lines |= dict.fromkeys(_lines(at, tree, problem["loc"], problem, ""))
    return list(lines)


def _lines(at: Place, tree: Any, path: tuple[int | str, ...], problem: Any, key: str) -> Iterator[str]:
    """Follow pydantic's path through the tree, leaving out its words for the members of a union."""
    label, path = path[: at.labels], path[at.labels :]
    is_mapping = isinstance(tree, dict)
    member = _member(at, label) if is_mapping else None
    if is_mapping and at.members and label and member is None:
        return  # a mapping is meant for one of the members: that another type does not fit says nothing
    if not path or at.is_leaf or not isinstance(tree, dict | list):
        yield from _misfit(at, tree, problem, key)
    elif member is not None:
        yield from _field(at, member, tree, path, problem, key)
    elif at.items is not None:
        word: Any = path[0]
        below = f"{key}[{word}]" if isinstance(tree, list) else f"{key}.{word}"
        yield from _lines(at.items, tree[word], path[1:], problem, below)


def _member(at: Place, label: tuple[int | str, ...]) -> type | None:
    if not label:
        return at.members[0] if at.members else None
    words = at.names() if at.tag else [member.__name__ for member in at.members]
    return dict(zip(words, at.members, strict=True)).get(str(label[-1]))


def _field(at: Place, member: type, tree: Any, path: tuple[int | str, ...], problem: Any, key: str) -> Iterator[str]:
    name, known = str(path[0]), fields(member)
    below = f"{key}.{name}" if key else name
    if name not in known:
        kind = f" with {at.tag} {tree[at.tag]}" if at.tag else ""
        yield f"{below}: no such key{kind}{did_you_mean(name, known) or _one_floor_down(name, known)}"
    elif name not in tree:
        yield f"{below}: missing; it may be {may_be(place_of(known[name]))}"
    else:
        yield from _lines(place_of(known[name]), tree[name], path[1:], problem, below)


def _one_floor_down(name: str, known: Mapping[str, Any]) -> str:
    """`; did you mean section.name?` where one of the sections has a key of that name."""
    sections = [key for key, field in known.items() if any(name in fields(one) for one in place_of(field).members)]
    return f"; did you mean {sections[0]}.{name}?" if sections else ""


def _misfit(at: Place, tree: Any, problem: Any, key: str) -> Iterator[str]:
    prefix = f"{key}: " if key else ""
    if problem["type"] in ("value_error", "assertion_error"):
        said = str(problem["ctx"]["error"])
        yield f"{key}.{said}" if key and _begins_with_a_key(at, said) else f"{prefix}{said}"
    elif problem["type"] == "union_tag_not_found":
        known = {name for member in at.members for name in fields(member)}
        for name in [name for name in tree if name not in known]:
            yield f"{key}.{name}: no such key{did_you_mean(name, known)}"
        yield f"{key}.{at.tag}: missing; it may be {', '.join(at.names())}"
    elif problem["type"] == "union_tag_invalid":
        tag = tree[at.tag]
        yield f"{key}.{at.tag}: {_short(tag)} is not possible; it may be {', '.join(at.names())}" + did_you_mean(
            str(tag), at.names()
        )
    else:
        hint = did_you_mean(tree, names_possible(at)) if isinstance(tree, str) else ""
        yield f"{prefix}{_short(tree)} is not possible; it may be {may_be(at)}{hint}"


def _begins_with_a_key(at: Place, said: str) -> bool:
    """Whether a rule between fields named one of them first: `stages: ...`, `sources[0].weight: ...`."""
    name = re.match(r"(\w+)[\w.\[\]]*: ", said)
    return name is not None and any(name[1] in fields(member) for member in at.members)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
