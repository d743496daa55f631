"""WARC files of web crawls: the main text of HTML pages, and plain text as it is."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, Literal

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Semantic, settings
from lilliput.corpus.compressed import Damaged
from lilliput.corpus.document import Document, Part
from lilliput.corpus.files import at_rest, blocks, digest, find, opened, shown
from lilliput.corpus.filters.html import MOST_TAGS, plain
from lilliput.corpus.reading import Reader
from lilliput.corpus.sources.entry import Entry, first, hashed

LONGEST = 16 << 20
"""Bytes of the longest page; longer ones are left out and counted."""
DROPPED_LONG, DROPPED_TYPE, DROPPED_EMPTY = "long page", "no page of text", "page without text"
TEXT = ("text/html", "application/xhtml+xml", "text/plain")


@settings
class WarcSource(Entry):
    kind: Literal["warc"] = "warc"
    path: Semantic[str]
    """A file, a folder (all its .warc files, recursively), or a pattern; .gz too. WET files, plain text, as well."""
    main_content: Semantic[bool] = True
    """Leave out menus, footers and advertisements of a page."""

    @property
    def label(self) -> str:
        return self.path

    def pieces(self, part: Part | None = None) -> list[str]:
        return [str(path) for path in first(find(self.path, ".warc"), self)]

    def piece(self, name: str, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        return reader.undamaged(self._pages(Path(name), reader))

    def _pages(self, path: Path, reader: Reader) -> Iterator[Document]:
        for number, (address, text) in enumerate(pages(path, reader, self.main_content), 1):
            yield Document(text, self.label, address or f"{shown(path.name)}:{number}")

    def fingerprint(self, part: Part | None = None) -> str:
        return hashed(self, (digest(path)[1] for path in first(find(self.path, ".warc"), self)))


def pages(path: Path, reader: Reader, main_content: bool) -> Iterator[tuple[str, str]]:
    """(address, text) of the pages of a crawl's file; what is no text is counted.

    Raises LilliputError: CONTENT where the file is damaged, UNAVAILABLE without the extra.
    """
    archive, html = _libraries(shown(path))
    for _ in blocks(path):  # to its last checksum before the first page is used
        pass
    with opened(path) as file, at_rest(file, path):
        _verify(archive, file, shown(path))
        file.seek(0)
        for record in archive.ArchiveIterator(file):
            if record.rec_type in ("response", "conversion"):
                text = _page(record, reader, html, main_content)
                if text is not None:
                    yield record.rec_headers.get_header("WARC-Target-URI") or "", text


def _verify(archive: Any, file: BinaryIO, place: str) -> None:
    """Read all records, so that no page of a damaged file is ever used."""
    number = 0
    try:
        for record in archive.ArchiveIterator(file):
            number += 1
            if record.rec_type in ("response", "conversion"):
                record.content_stream().read(LONGEST)
    except Exception as error:  # warcio raises its own, those of its parsers, of zlib and of the system
        reason = shown(" ".join(str(error).lower().split()))[:100]
        cause = f"{place} is damaged, or no WARC file, after record {number} (byte {file.tell()}): {reason}"
        raise Damaged(cause, "copy or download it again") from None


def _page(record: Any, reader: Reader, html: Any, main_content: bool) -> str | None:
    headers = record.http_headers
    kind = (headers.get_header("Content-Type") if headers else None) or "text/plain"
    status = headers.get_statuscode() if headers else "200"
    if status != "200" or not kind.lower().startswith(TEXT):
        reader.dropped[DROPPED_TYPE] += 1
        return None
    data = record.content_stream().read(LONGEST + 1)
    if len(data) > LONGEST:
        reader.dropped[DROPPED_LONG] += 1
        return None
    _, _, charset = kind.lower().partition("charset=")
    text = _decoded(data, charset.strip(" \"';"), html)
    if not kind.lower().startswith("text/plain"):
        if text.count("<") > MOST_TAGS:
            reader.dropped[DROPPED_LONG] += 1
            return None
        text = plain(text, main_content)
    if not text or text.isspace():
        reader.dropped[DROPPED_EMPTY] += 1
        return None
    return str(text)


def _decoded(data: bytes, charset: str, html: Any) -> str:
    """A page's characters by what its header says, else by what its bytes look like; none is refused."""
    try:
        return data.decode(charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return str(html.bytes_to_str(data, html.detect_encoding(data), errors="replace"))


def _libraries(what: str) -> tuple[Any, Any]:
    """warcio's reader with its error, and resiliparse's functions."""
    try:
        from resiliparse.parse.encoding import bytes_to_str, detect_encoding
        from warcio.archiveiterator import ArchiveIterator
        from warcio.exceptions import ArchiveLoadFailed
    except ImportError as error:
        cause = f"reading {what} needs the package {str(error.name).partition('.')[0]}"
        raise LilliputError(cause, "pip install 'lilliput[data]'", Exit.UNAVAILABLE) from None
    archive = SimpleNamespace(ArchiveIterator=ArchiveIterator, ArchiveLoadFailed=ArchiveLoadFailed)
    html = SimpleNamespace(bytes_to_str=bytes_to_str, detect_encoding=detect_encoding)
    return archive, html
