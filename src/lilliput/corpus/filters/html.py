"""HTML: markup becomes plain text, paragraphs and code blocks as they were (resiliparse)."""

import re
from typing import Literal

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.missing import missing

PAGE = re.compile(r"\s*(?:<!--|<\?xml|<!doctype\b|<(?:html|head|body)\b)", re.I)
FRAGMENT = re.compile(
    r"\s*<(?:title|meta|script|style|div|main|article|section|header|p|br|hr|h[1-6]|ul|ol|dl|table|pre|code|blockquote"
    r"|span|a|b|i|em|strong|img)\b",
    re.I,
)
DIVISION = re.compile(r"<(/?)div\b", re.I)
DEEPEST = 500
"""Divisions within divisions up to which the main content is looked for: its cost grows with their square."""
MOST_TAGS = 400_000
"""Tags of the largest page: its tree takes some 650 bytes for each."""


@settings
class HtmlRule:
    kind: Literal["html"] = "html"
    main_content: Semantic[bool] = True
    """Leave out the menus, headers and footers of a whole page; short lists of links go with them."""
    always: Semantic[bool] = False
    """Take every document for HTML, not only those that begin with a tag; code that compares with `<` would suffer."""

    def apply(self, text: str) -> str | Dropped:
        """Raises LilliputError (UNAVAILABLE) where resiliparse is not installed."""
        is_page = PAGE.match(text) is not None
        if not (self.always or is_page or FRAGMENT.match(text)):
            return text
        if text.count("<") > MOST_TAGS:
            return Dropped("html: too many tags")
        return plain(text, self.main_content and is_page) or Dropped("html: no text")


def plain(text: str, main_content: bool = False) -> str:
    """The text that a reader of the page sees: a blank line between paragraphs, preformatted lines as they are."""
    try:
        from resiliparse.extract.html2text import extract_plain_text
    except ImportError:
        raise missing("html", "resiliparse") from None
    main_content = main_content and depth(text) <= DEEPEST
    return str(extract_plain_text(text, preserve_formatting=True, main_content=main_content))


def depth(text: str) -> int:
    """Most divisions within each other."""
    depth = deepest = 0
    for match in DIVISION.finditer(text):
        depth = max(0, depth - 1) if match[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest
