"""Columns of a row that hold its text, joined where there are several."""

from collections.abc import Callable, Mapping
from typing import Any

from lilliput.corpus import posts
from lilliput.corpus.joining import RowsAre

Columns = tuple[str, ...]
Extract = Callable[[Mapping[str, Any]], str]
"""The text of a row; ValueError says why it has none."""

POSTS: Columns = ("question", "answers")


def columns_of(text_column: str | Columns | None, rows_are: RowsAre) -> Columns:
    """The columns to read."""
    if rows_are == "posts":
        return POSTS
    return (text_column,) if isinstance(text_column, str) else tuple(text_column or ("text",))


def extract(columns: Columns, rows_are: RowsAre) -> Extract:
    """The function that makes a row's text of its columns; several are joined by a blank line, empty ones left out."""
    if rows_are == "posts":
        return posts.conversation
    return lambda row: "\n\n".join(
        text for text in [_text(row, column) for column in columns] if text or len(columns) == 1
    )


def missing(column: str, known: Any) -> str:
    """What is wrong with a row or file that lacks a column."""
    return f"no column `{column}`; it has {', '.join(map(repr, known)) or 'none'}"[:200]


def _text(row: Mapping[str, Any], column: str) -> str:
    if column not in row:
        raise ValueError(missing(column, row))
    text = row[column]
    if not isinstance(text, str):
        raise ValueError(f"the column `{column}` is no text")
    return text
