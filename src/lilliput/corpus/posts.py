"""Questions and answers of Stack Exchange: HTML becomes text, and the best answer is chosen by its marks."""

import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

MARKUP = re.compile(
    r"</?(?:p|pre|code|a|br|hr|ul|ol|li|em|strong|b|i|blockquote|h[1-6]|img|div|span|table)"
    r"(?:\s+[\w-]+=(?:\"[^\"<>]*\"|'[^'<>]*'))*\s*/?>"
)
"""A tag of Stack Exchange's HTML; `a<b && c>d` is none."""
BLOCKS = {"p", "pre", "ul", "ol", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "div", "table", "hr"}
LINES = {"br", "li", "tr"}
UNSEEN = {"script", "style"}


def plain(html: str) -> str:
    """The text of a post: paragraphs apart, code as it was; a text without tags is left alone."""
    if not MARKUP.search(html):
        return html
    reader = _Plain()
    reader.feed(html)
    reader.close()
    return reader.text()


class _Plain(HTMLParser):
    """Collects text; white space folds as a browser folds it, except inside <pre>."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.verbatim = self.unseen = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._break(tag)
        self.verbatim += tag == "pre"
        self.unseen += tag in UNSEEN

    def handle_endtag(self, tag: str) -> None:
        self.verbatim = max(0, self.verbatim - (tag == "pre"))
        self.unseen = max(0, self.unseen - (tag in UNSEEN))
        self._break("" if tag in LINES else tag)

    def handle_data(self, data: str) -> None:
        if not self.unseen:
            self.parts.append(data if self.verbatim else re.sub(r"\s+", " ", data))

    def _break(self, tag: str) -> None:
        if tag in BLOCKS:
            self.parts.append("\n\n")
        elif tag in LINES:
            self.parts.append("\n")

    def text(self) -> str:
        joined = re.sub(r"(?<=\n) +(?=\n)|(?<=\n\n) (?=\S)", "", "".join(self.parts))
        return re.sub(r"\n{3,}", "\n\n", joined).strip()


def best(answers: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The selected answer, else the one with the highest `pm_score`, the first of equals; never by its place alone."""
    return max(answers, key=lambda answer: (bool(answer.get("selected")), answer.get("pm_score") or 0), default=None)


def conversation(row: Mapping[str, Any]) -> str:
    """A row of the set as its question and best answer.

    Raises ValueError where the columns are not those of the set.
    """
    question, answers = row.get("question"), row.get("answers")
    if not isinstance(question, str) or not isinstance(answers, list):
        raise ValueError("no text `question` with a list `answers`")
    chosen = best([answer for answer in answers if isinstance(answer, dict) and isinstance(answer.get("text"), str)])
    return plain(question) if chosen is None else f"{plain(question)}\n\n{plain(chosen['text'])}"
