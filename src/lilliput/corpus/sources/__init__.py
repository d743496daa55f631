"""The sources of text: one settings class per kind, and their union."""

from typing import Annotated

from pydantic import Field

from lilliput.corpus.sources.hub import HubSource
from lilliput.corpus.sources.jsonl import JsonlSource
from lilliput.corpus.sources.published import PublishedSource
from lilliput.corpus.sources.tables import CsvSource, ParquetSource
from lilliput.corpus.sources.tales import TalesSource
from lilliput.corpus.sources.text import TextSource
from lilliput.corpus.sources.warc import WarcSource

Source = Annotated[
    TextSource | JsonlSource | ParquetSource | CsvSource | WarcSource | PublishedSource | HubSource | TalesSource,
    Field(discriminator="kind"),
]
