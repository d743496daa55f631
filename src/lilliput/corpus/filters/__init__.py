"""The cleaning rules: one settings class per kind, and their union."""

from typing import Annotated, Any

from pydantic import Field

from lilliput.corpus.filters.encoding import EncodingRule
from lilliput.corpus.filters.length import ShortRule

Rule = Annotated[EncodingRule | ShortRule, Field(discriminator="kind")]

RULES: dict[str, type[Any]] = {"encoding": EncodingRule, "short": ShortRule}
"""Every rule by the word that a recipe writes."""


def expand_rules(value: Any) -> Any:
    """The trees of what a recipe may write under `rules`: a word stands for that rule with its defaults."""
    values = [value] if isinstance(value, str | dict) else value
    if not isinstance(values, list | tuple):
        return value  # a wrong type is refused by the settings, which know the key
    return [{"kind": entry} if isinstance(entry, str) else entry for entry in values]
