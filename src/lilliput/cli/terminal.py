"""Printing: data to stdout, notes to stderr, and no control byte of an untrusted text to either."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""What could move a cursor, colour, reverse, break or hide text on a terminal."""


def printable(text: str) -> str:
    """`text` with control characters, terminal escapes and direction marks spelled out; newlines and tabs stay."""
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def say(text: str = "", end: str = "\n") -> None:
    """Data, to stdout."""
    _write(sys.stdout, printable(text) + end)


def note(text: str) -> None:
    """Whatever is not data, to stderr."""
    _write(sys.stderr, printable(text) + "\n")


def say_json(value: Any) -> None:
    """One JSON document, for programs; control characters are escaped, so that a terminal may show it too."""
    _write(sys.stdout, _json(value, indent=2) + "\n")


def say_json_line(value: Any) -> None:
    """One line of JSON lines."""
    _write(sys.stdout, _json(value) + "\n")


def columns(text: str) -> int:
    """Columns that a line takes on a terminal: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def say_table(headings: Sequence[str], rows: Iterable[Sequence[str | int | float | None]]) -> None:
    """Columns as wide as their widest entry; numbers to the right."""
    body = list(rows)
    lines = [list(headings), *[[_cell(entry) for entry in row] for row in body]]
    for line in lines:
        cells = []
        for i, text in enumerate(line):
            room = " " * (max(columns(other[i]) for other in lines) - columns(text))
            is_number = any(isinstance(row[i], int | float) for row in body)
            cells.append(room + text if is_number else text + room)
        say("  ".join(cells).rstrip())


def _cell(entry: str | int | float | None) -> str:
    return printable(entry) if isinstance(entry, str) else "" if entry is None else f"{entry:,}"


def _json(value: Any, indent: int | None = None) -> str:
    # Outside a string of the document, line ends are the only control characters there are.
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _write(stream: Any, text: str) -> None:
    # An encoding that lacks a character gets its escape instead of a crash.
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
