"""The sources of text: one settings class per kind, and their union."""

from typing import Annotated

from pydantic import Field

from lilliput.corpus.sources.jsonl import JsonlSource
from lilliput.corpus.sources.published import PublishedSource
from lilliput.corpus.sources.tales import TalesSource
from lilliput.corpus.sources.text import TextSource

Source = Annotated[TextSource | JsonlSource | PublishedSource | TalesSource, Field(discriminator="kind")]
