"""Tables in files: parquet, and CSV with a header line."""

from typing import Literal

from lilliput.config.settings import settings
from lilliput.corpus.sources.rowed import RowFiles


@settings
class ParquetSource(RowFiles):
    kind: Literal["parquet"] = "parquet"

    @property
    def ending(self) -> str:
        return ".parquet"


@settings
class CsvSource(RowFiles):
    kind: Literal["csv"] = "csv"

    @property
    def ending(self) -> str:
        return ".csv"
