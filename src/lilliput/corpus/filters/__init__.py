"""The cleaning rules: one settings class per kind, and their union."""

from typing import Annotated, Any

from pydantic import Field

from lilliput.corpus.filters.c4 import C4Rule
from lilliput.corpus.filters.encoding import EncodingRule
from lilliput.corpus.filters.fineweb import FineWebRule
from lilliput.corpus.filters.gopher import GopherRule
from lilliput.corpus.filters.gutenberg import GutenbergRule
from lilliput.corpus.filters.html import HtmlRule
from lilliput.corpus.filters.language import LanguageRule
from lilliput.corpus.filters.length import ShortRule
from lilliput.corpus.filters.notices import NoticesRule
from lilliput.corpus.filters.personal import PersonalRule
from lilliput.corpus.filters.repetition import RepetitionRule

Rule = Annotated[
    EncodingRule
    | HtmlRule
    | GutenbergRule
    | NoticesRule
    | ShortRule
    | LanguageRule
    | RepetitionRule
    | GopherRule
    | C4Rule
    | FineWebRule
    | PersonalRule,
    Field(discriminator="kind"),
]

RULES: dict[str, type[Any]] = {
    "encoding": EncodingRule,
    "html": HtmlRule,
    "gutenberg": GutenbergRule,
    "notices": NoticesRule,
    "short": ShortRule,
    "language": LanguageRule,
    "repetition": RepetitionRule,
    "gopher": GopherRule,
    "c4": C4Rule,
    "fineweb": FineWebRule,
    "personal": PersonalRule,
}
"""Every rule by the word that a recipe writes, in the order in which they are best applied."""


def expand_rules(value: Any) -> Any:
    """The trees of what a recipe may write under `rules`: a word stands for that rule with its defaults."""
    values = [value] if isinstance(value, str | dict) else value
    if not isinstance(values, list | tuple):
        return value  # a wrong type is refused by the settings, which know the key
    return [{"kind": entry} if isinstance(entry, str) else entry for entry in values]
