"""Every key for a reader: the reference page, one key's explanation, the JSON schema of a form."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.fields import Place, default_of, fields, place, place_of, tag_value
from lilliput.config.nearest import nearest
from lilliput.config.settings import Resume
from lilliput.config.wording import may_be


@dataclass(frozen=True)
class Entry:
    """One key of one settings class."""

    key: str
    where: str
    """The members of unions that have this key, e.g. `family: gpt2`; empty outside a union."""
    may_be: str
    default: str
    """As in a recipe; empty where the key must be written."""
    resume: Resume | None
    meaning: str
    is_required: bool


def schema(kind: Any) -> dict[str, Any]:
    """JSON schema with descriptions, bounds, defaults and each key's resume class."""
    return TypeAdapter(kind).json_schema()


def entries(at: Place, key: str = "", where: str = "", outer: Resume | None = None) -> Iterator[Entry]:
    """All keys below a place, each section before its own keys."""
    for member in at.members:
        chosen = f"{at.tag}: {tag_value(member, at.tag)}" if at.tag else ""
        scope = ", ".join(word for word in (where, chosen) if word)
        for name, info in fields(member).items():
            if name == at.tag:
                continue
            inner, below = place_of(info), f"{key}.{name}" if key else name
            resume = outer or inner.resume
            default = "" if info.is_required() else _recipe_text(default_of(info), inner)
            meaning = " ".join((info.description or _purpose(inner)).split())
            yield Entry(below, scope, may_be(inner), default, resume, meaning, info.is_required())
            yield from entries(inner, below, scope, resume)
            if inner.items is not None:
                yield from entries(inner.items, f"{below}[]", scope, resume)


def keys(kind: Any) -> list[Entry]:
    """All keys of a settings class; what members of a union have in common stands once, with all their tags."""
    found: dict[Entry, list[str]] = {}
    for entry in entries(place(kind)):
        found.setdefault(replace(entry, where=""), []).append(entry.where)
    return [replace(entry, where=_joined(places)) for entry, places in found.items()]


def _joined(places: list[str]) -> str:
    """`kind: a` and `kind: b` as `kind: a, b`."""
    outer = {word.rpartition(": ")[0] for word in places}
    if len(outer) != 1 or not places[0]:
        return "; ".join(places)
    return f"{outer.pop()}: {', '.join(word.rpartition(': ')[2] for word in places)}"


def _purpose(at: Place) -> str:
    """A section without a sentence of its own has that of its class; dataclasses without one list their fields."""
    texts = [(member.__doc__ or "").split("\n\n")[0] for member in at.members]
    return texts[0] if len(texts) == 1 and not texts[0].startswith(f"{at.members[0].__name__}(") else ""


def explain(kind: Any, key: str) -> str:
    """What a key may be, its default, its meaning; a section's key lists the section, no key lists all."""
    everything = keys(kind)
    plain = key.strip(".")
    found = [entry for entry in everything if not plain or entry.key == plain or _is_below(entry.key, plain)]
    if not found:
        known = dict.fromkeys(entry.key for entry in everything)
        by_last_word: dict[str, str] = {}
        for name in sorted(known, key=len):
            by_last_word.setdefault(name.rpartition(".")[2], name)
        near = nearest(plain, known) or by_last_word.get(nearest(plain, by_last_word) or "")
        guess = f"; did you mean {near}?" if near else ""
        raise LilliputError(f"{key}: no such key{guess}", "`lilliput config explain` lists all keys", Exit.USAGE)
    return "\n\n".join(_paragraph(entry) for entry in found)


def reference(kind: Any) -> str:
    """The reference page: one table for each section and each member of a union."""
    lines: list[str] = []
    for (section, where), group in _sections(keys(kind)).items():
        title = f"`{section}`" if section else "The recipe"
        lines += [f"## {title}{f' with {where}' if where else ''}", ""]
        lines += ["| key | may be | default | on resume | meaning |", "|---|---|---|---|---|"]
        lines += [_row(entry) for entry in group]
        lines.append("")
    return "\n".join(lines)


def _sections(everything: list[Entry]) -> dict[tuple[str, str], list[Entry]]:
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in everything:
        found.setdefault((entry.key.rpartition(".")[0], entry.where), []).append(entry)
    return found


def _row(entry: Entry) -> str:
    resume = entry.resume.value if entry.resume else ""
    default = f"`{entry.default}`" if entry.default else ("required" if entry.is_required else "")
    cells = [f"`{entry.key}`", entry.may_be, default, resume, entry.meaning]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _paragraph(entry: Entry) -> str:
    title = f"{entry.key} ({entry.where})" if entry.where else entry.key
    lines = [title, f"  {entry.meaning}"] if entry.meaning else [title]
    lines.append(f"  may be: {entry.may_be}")
    if entry.default or entry.is_required:
        lines.append(f"  default: {entry.default or 'none, it must be written'}")
    if entry.resume:
        lines.append(f"  on resume: {entry.resume.value}")
    return "\n".join(lines)


def _is_below(key: str, section: str) -> bool:
    return key.startswith((f"{section}.", f"{section}[]"))


def _recipe_text(value: Any, at: Place) -> str:
    if at.members and isinstance(value, dict):
        return f"{at.tag}: {value[at.tag]}" if at.tag else ""
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
