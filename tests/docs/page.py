"""A page of documentation as the tests read it: its blocks, its commands, its links, and what it names."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.generate import BEGIN, ROOT

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    path: Path

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The page without its blocks, and without the map that is made from the code."""
        return FENCE.sub("", self.text.partition(BEGIN)[0])

    def blocks(self, *languages: str) -> list[str]:
        return [body for language, body in FENCE.findall(self.text) if language in languages]

    def commands(self) -> Iterator[list[str]]:
        """The words after `lilliput`, of each line of the shell blocks that begins with it."""
        for block in self.blocks("bash", "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0].removeprefix(".venv/bin/") == "lilliput":
                    yield words[1:]

    def spans(self) -> list[str]:
        """What stands in backticks within the prose."""
        return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", self.prose)

    def links(self) -> list[str]:
        """Where the page's relative links lead."""
        return re.findall(r"\]\(([^)\s:]+)\)", self.prose)

    def anchors(self) -> set[str]:
        """Its headings, as links to them are spelled."""
        titles = re.findall(r"^#+ (.*)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


PAGES = [Page(path) for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))]
BY_NAME = {str(page): page for page in PAGES}
