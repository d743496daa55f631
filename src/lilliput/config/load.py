"""Recipes into settings: presets and defaults filled in, validated once, every problem named at once."""

import json
from collections.abc import Mapping
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from lilliput.config.fields import Place, complete, dump, fields, place, place_of
from lilliput.config.nearest import did_you_mean
from lilliput.config.overrides import TAGS, Presets, merge
from lilliput.config.problems import problems
from lilliput.config.text import Tree, read, refused

__all__ = ["Presets", "Tree", "dump", "load", "merge", "read"]

Kind = TypeVar("Kind")


def load(kind: type[Kind], tree: Tree, *, origin: str = "", presets: Presets | None = None) -> Kind:
    """Settings of `kind`, or one error with every problem: its full key, what is wrong, and what it may be."""
    at = place(kind)
    clashes = {section: line for section, known in (presets or {}).items() if (line := _clash(section, tree, known))}
    tree = complete(
        at, _resolve(at, tree, {name: known for name, known in (presets or {}).items() if name not in clashes}), None
    )
    wrong = list(clashes.values())
    try:
        value = TypeAdapter(kind).validate_json(json.dumps(tree))
    except ValidationError as error:
        wrong += [line for line in problems(at, tree, error) if line.partition(".")[0] not in clashes]
    if wrong:
        prefix = f"{origin}: " if origin else ""
        raise refused([prefix + line for line in wrong], "`lilliput config explain KEY` says what a key may be")
    return value


def _clash(section: str, tree: Tree, known: Mapping[str, Tree]) -> str | None:
    """What is wrong with the preset that a section names, if anything."""
    given = tree.get(section)
    if not isinstance(given, dict) or "preset" not in given:
        return None
    name = str(given["preset"])
    if name not in known:
        return f"{section}.preset: no preset {name}{did_you_mean(name, known)}"
    for tag in TAGS:
        if tag in given and given[tag] != known[name].get(tag):
            return f"{section}.{tag}: {given[tag]}, but preset {name} is {known[name].get(tag)}; write one of the two"
    return None


def _resolve(at: Place, tree: Tree, presets: Presets) -> Tree:
    """`tree` with each section's preset replaced by what it stands for; keys written beside it win."""
    resolved, member = dict(tree), at.member(tree)
    for section, known in presets.items():
        given = resolved.get(section)
        if member is not None and isinstance(given, dict) and "preset" in given:
            own = {key: value for key, value in given.items() if key != "preset"}
            resolved[section] = complete(place_of(fields(member)[section]), own, known[str(given["preset"])])
    return resolved
