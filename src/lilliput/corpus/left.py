"""What cleaning leaves of a recipe's sources: each a source again, in the place of the one it is left of."""

from collections.abc import Iterator, Sequence

from lilliput.corpus import store, watching
from lilliput.corpus.cleaned import Cleaned, sha256_of
from lilliput.corpus.cleaning import Cleaning, Funnel
from lilliput.corpus.document import Document, Part
from lilliput.corpus.duplicates import Search
from lilliput.corpus.near import clusters
from lilliput.corpus.perplexity import Scoring
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.entry import BEYOND, Entry, Stored
from lilliput.corpus.split import SplitConfig
from lilliput.corpus.together import STEPS, Together, is_wanted


class Left(Stored):
    """What is left of one source of several that are cleaned together."""

    together: Together

    def __init__(self, source: Entry, together: Together) -> None:
        super().__init__(source)
        object.__setattr__(self, "together", together)

    def provenance(self) -> str:
        steps = [name for name in STEPS if getattr(self.together.cleaning, name) is not None]
        return f"{self.source.provenance()}, looked through for {', '.join(steps)}"

    def fingerprint(self, part: Part | None = None) -> str:
        numbers = [i for i, one in enumerate(self.together.streams) if one.source is self.source]
        own = [i for i in numbers if self.together.streams[i].part == part]
        return sha256_of([self.together.key, own or numbers])

    def documents(self, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        folder = self.together.folder(self.source, part)
        yield from watching.read([folder], store.read)
        reader.dropped.update({k: n for k, n in store.funnel(folder).dropped.items() if k != BEYOND})

    def funnel(self, reading: Reading, part: Part | None = None) -> Funnel:
        return store.funnel(self.together.folder(self.source, part))


def clean_sources(
    sources: Sequence[Source],
    cleaning: Cleaning,
    reading: Reading,
    split: SplitConfig,
    scoring: Scoring | None = None,
    search: Search = clusters,
) -> list[Entry]:
    """The sources of a recipe after cleaning, each itself where nothing is to be cleaned."""
    ruled = [after_rules(source, cleaning) for source in sources]
    if not is_wanted(cleaning):
        return ruled
    by_parts, scope = split.kind in ("auto", "official"), cleaning.duplicates.scope if cleaning.duplicates else "corpus"
    groups = [ruled] if scope == "corpus" else [[source] for source in ruled]
    together = [Together(group, cleaning, reading, by_parts, scoring, search) for group in groups]
    return [Left(source, one) for group, one in zip(groups, together, strict=True) for source in group]


def after_rules(source: Source, cleaning: Cleaning) -> Entry:
    """The source itself where no rule is on, so that its fingerprint stays what it was."""
    rules = cleaning.rules if source.rules is None else source.rules
    return Cleaned(source, rules, cleaning.workers) if rules else source
