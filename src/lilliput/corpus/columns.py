"""Columns of a row that hold its text, joined where there are several."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lilliput.config.errors import Exit, LilliputError
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


def insist(columns: Columns, known: Sequence[str], place: str) -> None:
    """Raise LilliputError (RECIPE) for a column that a file has not, (CONTENT) for one that it has twice."""
    for column in columns:
        if column not in known:
            action = "name the one that holds the text: `text_column` in a recipe, --text-column on the command line"
            raise LilliputError(f"{place}: {missing(column, known)}", action, Exit.RECIPE)
        if list(known).count(column) > 1:
            cause = f"{place}: the column `{column}` comes twice"
            raise LilliputError(cause, "give each a name of its own", Exit.CONTENT)


def _text(row: Mapping[str, Any], column: str) -> str:
    if column not in row:
        raise ValueError(missing(column, row))
    text = row[column]
    if not isinstance(text, str):
        raise ValueError(f"the column `{column}` is no text")
    return text
