"""What sources of rows have in common: the column of the text, and whether rows are documents or parts of them."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.columns import Columns, columns_of, extract
from lilliput.corpus.document import Document, Part
from lilliput.corpus.files import digest, find, shown
from lilliput.corpus.joining import Joining, RowsAre, join
from lilliput.corpus.reading import Reader
from lilliput.corpus.rows import read_rows
from lilliput.corpus.sources.entry import Entry, first, hashed


@settings
class Joined(Entry):
    """What sources have in common whose rows or lines may be less or more than a document."""

    chunk_words: Semantic[int | None] = Field(default=None, gt=0)
    """Words after which consecutive sentences (null: 500) or a book's paragraphs (null: the whole) make a document."""
    chapter_boundaries: Semantic[bool] = False
    """Begin a new document at each chapter's heading, where the text is sentences or books."""
    min_book_words: Semantic[int | None] = Field(default=None, gt=0)
    """Leave out books with fewer words, where the text is books."""

    def __post_init__(self) -> None:
        kind = self.shape()
        where = {"chunk_words": ("sentences", "books"), "chapter_boundaries": ("sentences", "books")}
        for name, kinds in {**where, "min_book_words": ("books",)}.items():
            if getattr(self, name) and kind not in kinds and not self._stands_in():
                raise ValueError(f"{name}: it is for {' and '.join(kinds)}, and these are {kind}")

    def shape(self) -> RowsAre:
        """What a row, a line or a file is."""
        raise NotImplementedError

    def joining(self, shape: RowsAre | None = None) -> Joining:
        return Joining(shape or self.shape(), self.chunk_words, self.chapter_boundaries, self.min_book_words)

    def _stands_in(self) -> bool:
        """True where text of another kind may have to stand in for the set's own."""
        return False


@settings
class Rowed(Joined):
    rows_are: Semantic[RowsAre | None] = None
    """What a row is: documents; lines (of WikiText articles), sentences, books, or posts (Stack Exchange).

    Null: documents, or what the rows of a known set are.
    """

    def shape(self) -> RowsAre:
        return self.rows_are or "documents"


OPTIONS = ("rows_are", "chunk_words", "chapter_boundaries", "min_book_words")
"""Options that are newer than stored fingerprints."""


@settings
class RowFiles(Rowed):
    path: Semantic[str]
    """A file, a folder (all its files of this kind, recursively), or a pattern such as `data/*`; .gz and .zst too."""
    text_column: Semantic[str | tuple[str, ...]] = "text"
    """The column that holds the text; of several, the texts are joined by a blank line."""

    @property
    def label(self) -> str:
        return self.path

    @property
    def ending(self) -> str:
        """How the files of a folder end."""
        raise NotImplementedError

    def pieces(self, part: Part | None = None) -> list[str]:
        return [str(path) for path in first(find(self.path, self.ending), self)]

    def piece(self, name: str, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        root, path = Path(self.path), Path(name)
        label = shown(path.relative_to(root)) if path != root and path.is_relative_to(root) else shown(path.name)
        columns = columns_of(self.text_column, self.shape())
        return reader.undamaged(read_joined(path, columns, self.joining(), reader, self.label, label))

    def fingerprint(self, part: Part | None = None) -> str:
        return hashed(self, (digest(path)[1] for path in first(find(self.path, self.ending), self)), later=OPTIONS)


def read_joined(
    path: Path, columns: Columns, how: Joining, reader: Reader, source: str, name: str, part: Part | None = None
) -> Iterator[Document]:
    """The documents of one file of rows; the key of each is the number of its first row."""
    in_utf8 = reader.in_utf8(keeps_blank=how.rows_are == "lines")
    numbered = read_rows(path, columns, extract(columns, how.rows_are), in_utf8)
    rows = ((f"{name}:{number}", text) for number, text in numbered)
    for key, text in join(rows, how, reader.dropped):
        yield Document(text, source, key, part)
