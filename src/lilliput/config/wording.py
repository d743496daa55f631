"""What may stand at a place of a recipe, in words."""

import json
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from lilliput.config.fields import Place, place

NOUNS = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "path", NoneType: "null"}
LIMITS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "multiple_of": "a multiple of"}
LENGTHS = {"min_length": "at least {} long", "max_length": "at most {} long", "pattern": "matching {}"}


def may_be(at: Place) -> str:
    """E.g. `auto or a whole number > 0`, `settings of kind adamw, muon`, `a list of text`."""
    words = [_noun(annotation, at.limits) for annotation in at.plain if annotation is not NoneType]
    if at.members:
        words.append(f"keys with {at.tag} {', '.join(at.names())}" if at.tag else "keys of their own")
    if at.items is not None:
        words.append(f"a list of {may_be(at.items)}")
    if NoneType in at.plain:
        words.append("null")
    return " or ".join(words)


def _noun(annotation: Any, limits: tuple[Any, ...]) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated or origin in (Union, UnionType) or hasattr(annotation, "__value__"):
        return may_be(place(annotation, list(limits)))
    if origin is Literal:
        return ", ".join(value if isinstance(value, str) else json.dumps(value) for value in arguments)
    if origin in (list, tuple, set, frozenset):
        count = "" if origin is not tuple or ... in arguments else f"{len(arguments)} "
        return f"a list of {count}{_plural(arguments[0])}{_bounds(limits)}"
    if origin is dict:
        return f"a mapping to {_plural(arguments[1])}{_bounds(limits)}"
    noun = NOUNS.get(annotation, getattr(annotation, "__name__", str(annotation)))
    return f"{'' if annotation in (bool, str, NoneType) else 'a '}{noun}{_bounds(limits)}"


def names_possible(at: Place) -> list[str]:
    """The words among what may stand at a place, such as `auto`."""
    parts = [place(annotation) for annotation in at.plain]
    below = [name for part in parts if part.plain != at.plain for name in names_possible(part)]
    return below + [
        word for annotation in at.plain if get_origin(annotation) is Literal for word in get_args(annotation)
    ]


def _plural(annotation: Any) -> str:
    noun = may_be(place(annotation))
    if noun.startswith("a list"):
        return noun[2:].replace("list", "lists", 1)
    return noun[2:].replace("number", "numbers", 1) if noun.startswith("a ") else noun


def _bounds(limits: tuple[Any, ...]) -> str:
    words = [
        f"{LIMITS[name]} {value:g}"
        for limit in limits
        for name in LIMITS
        if (value := getattr(limit, name, None)) is not None
    ]
    words += [
        LENGTHS[name].format(value)
        for limit in limits
        for name in LENGTHS
        if (value := getattr(limit, name, None)) is not None
    ]
    return f" {' and '.join(words)}" if words else ""
