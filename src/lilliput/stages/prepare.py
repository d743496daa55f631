"""Documents become token shards, once: content-addressed, so a changed input never meets a stale cache."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any

from pydantic import Field

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.load import dump
from lilliput.config.settings import Fatal, Safe, settings
from lilliput.corpus import watching
from lilliput.corpus.catalog import read, read_whole
from lilliput.corpus.cleaning import Cleaning
from lilliput.corpus.document import Part
from lilliput.corpus.left import after_rules, clean_sources
from lilliput.corpus.mixing import Mixing, refuse
from lilliput.corpus.perplexity import Scoring
from lilliput.corpus.reading import Reading
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.entry import Entry
from lilliput.corpus.split import SplitConfig
from lilliput.runs import durable, stop
from lilliput.runs.home import shards
from lilliput.tokens.shards import FORMAT, Shard, write_shard
from lilliput.tokens.tokenizer import Tokenizer

LIMITS = ("max_samples", "max_bytes", "max_files", "size")
"""What decides which documents of a text there are before it is divided into parts."""


@settings
class DataConfig(Mixing, Reading):
    """What a run reads, and how it is divided."""

    sources: Fatal[tuple[Source, ...]]
    """Where text comes from: a name, a path, or a list of entries with weights and limits."""
    cleaning: Cleaning = Cleaning()
    split: SplitConfig = SplitConfig()
    """How text is divided into training, validation and test parts."""
    stride: Fatal[int | None] = Field(default=None, ge=1)
    """Tokens between the beginnings of two windows; the context length where it is null."""
    workers: Safe[int] = Field(default=0, ge=0)
    """Threads that make batches ready before they are needed; 0 = none."""
    prefetch: Safe[int] = Field(default=2, ge=1)
    """Batches that the workers together keep ready ahead of the one in use."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources: at least one is needed")
        refuse(self.sources, self)


@settings
class ValidationConfig:
    sources: Fatal[tuple[Source, ...]] = ()
    """Validation sets, each by its name: of a text that is trained on its validation part, any other whole.

    Without any, the validation parts of all `data.sources` together.
    """

    def __post_init__(self) -> None:
        if len({source.label for source in self.sources}) < len(self.sources):
            raise ValueError("sources: each set has a name of its own")
        if any(source.weight != 1.0 or source.max_tokens is not None for source in self.sources):
            raise ValueError("sources: weight and max_tokens are for text that is trained on")


@dataclass(frozen=True)
class Data:
    """Shards of a run: one per source for training, one per validation set."""

    train: list[Shard]
    validation: dict[str, Shard]

    @property
    def dropped(self) -> Counter[str]:
        """Documents of the training text that were left out, by reason."""
        return sum((Counter(shard.manifest["provenance"].get("dropped", {})) for shard in self.train), Counter[str]())

    def remarks(self) -> Iterator[str]:
        """What a person should know of the figures that this data gives."""
        if not all(shard.exact_lengths for shard in (*self.train, *self.validation.values())):
            yield "bits per byte are near, not exact: what this tokenizer's ids spell does not add up to the text"

    def names(self) -> list[str]:
        """The hashes of all content, in order."""
        return [str(shard.folder.name) for shard in (*self.train, *self.validation.values()) if shard.folder]


class Clean:
    """The sources of a recipe after cleaning, which is done once for all that asks for them."""

    def __init__(self, config: DataConfig) -> None:
        self.config = config
        self.all = clean_sources(config.sources, config.cleaning, config, config.split, _scoring(config.cleaning))

    def of(self, sources: Sequence[Source]) -> list[Entry]:
        """These sources: what all of them together leave of one that is trained on, else what its rules leave."""
        return [self._of(source) for source in sources]

    def _of(self, source: Source) -> Entry:
        known = list(zip(self.config.sources, self.all, strict=True))
        same = [left for own, left in known if own is source] or [left for own, left in known if own == source]
        return same[0] if same else after_rules(source, self.config.cleaning)


def _scoring(cleaning: Cleaning) -> Scoring | None:
    """The model that judges a text's perplexity, where the recipe names one."""
    if cleaning.perplexity is None or cleaning.perplexity.model is None:
        return None
    from lilliput.stages.scoring import scoring

    return scoring(cleaning.perplexity.model)


def prepare(config: DataConfig, validation: ValidationConfig, tokenizer: Tokenizer) -> Data:
    """Write the shards that are not there yet; open all."""
    clean = Clean(config)
    train = [shard([source], config, "train", tokenizer, clean) for source in config.sources]
    if validation.sources:
        held_out = {source.label: _validation_set(source, config, tokenizer, clean) for source in validation.sources}
    elif config.split.validation > 0:
        held_out = {"validation": shard(config.sources, config, "validation", tokenizer, clean)}
    else:
        held_out = {}
    return Data(train, held_out)


def _validation_set(source: Source, config: DataConfig, tokenizer: Tokenizer, clean: Clean) -> Shard:
    """A text of its own, whole; of one that is trained on, the part that is kept out of training."""
    own = next((own for own in config.sources if _text(own) == _text(source)), None)
    if own is None:
        return shard([source], config, None, tokenizer, clean)
    has_parts = source.parts and config.split.kind in ("auto", "official")
    limits = [(getattr(source, name, None), getattr(own, name, None)) for name in LIMITS]
    if not has_parts and any(limit not in (None, other) for limit, other in limits):
        cause = f"{source.label} is trained on within other limits than it is validated on"
        raise LilliputError(cause, "give it the same under `validation.sources` and `data.sources`", Exit.RECIPE)
    found = shard([source if has_parts else own], config, "validation", tokenizer, clean)
    if not found.num_documents:
        cause = f"all of {source.label} is trained on: none of it is kept for validation"
        raise LilliputError(cause, "set `data.split.validation` above 0", Exit.RECIPE)
    return found


def _text(source: Source) -> dict[str, Any]:
    """What a source reads, whatever its share and its limits."""
    shares = {*LIMITS, *(field.name for field in fields(Entry))}
    return {name: value for name, value in dump(source).items() if name not in shares}


def texts(
    sources: Sequence[Source],
    config: DataConfig,
    part: Part | None,
    dropped: Counter[str] | None = None,
    clean: Clean | None = None,
) -> Iterator[tuple[int, str]]:
    """Pairs (source number, text) of a part, or of sources that serve whole as a validation set; streaming.

    `dropped` counts, by reason, the documents that were left out.
    """
    left = (clean or Clean(config)).of(sources)
    documents = read_whole(left, config, dropped) if part is None else read(left, config.split, config, part, dropped)
    for number, document in documents:
        stop.yield_point()
        yield number, document.text


def shard(
    sources: Sequence[Source], config: DataConfig, part: Part | None, tokenizer: Tokenizer, clean: Clean | None = None
) -> Shard:
    """The shard of a part of some sources; written when its content is met for the first time."""
    clean = clean or Clean(config)
    left = clean.of(sources)
    fingerprints = [source.fingerprint(_asked(source, config, part)) for source in left]
    provenance = {
        "format": FORMAT,
        "part": part,
        "tokenizer": tokenizer.fingerprint,
        "split": dump(config.split) if part else None,
        "reading": {f.name: getattr(config, f.name) for f in fields(Reading)},
        "sources": fingerprints,
    }
    folder = shards() / key(provenance)
    if folder.exists():
        return Shard.open(folder)
    dropped = Counter[str]()
    limit = sources[0].max_tokens if part == "train" else None
    named = {**provenance, "text": [source.provenance() for source in left], "dropped": dropped}
    documents = texts(sources, config, part, dropped, clean)
    with watching.working(_doing(sources, part)):
        written = write_shard(folder, documents, tokenizer, max_tokens=limit, provenance=named)
    for source, before in zip(left, fingerprints, strict=True):
        if not source.is_stored and source.fingerprint(_asked(source, config, part)) != before:
            durable.remove_tree(folder)
            cause = f"{source.label} changed while it was read"
            raise LilliputError(cause, "start again when it is at rest", Exit.CONTENT)
    return written


def _doing(sources: Sequence[Source], part: Part | None) -> str:
    label = sources[0].label if len(sources) == 1 else "all sources"
    return f"tokens of {label}{f', {part} part' if part else ''}"


def _asked(source: Entry, config: DataConfig, part: Part | None) -> Part | None:
    """Which documents decide a shard; a validation set is not asked for its training part."""
    if part is None:
        return "validation" if "validation" in source.parts else None
    return part if config.split.kind in ("auto", "official") else None


def key(value: Any) -> str:
    """A name for content: sha256 over its canonical JSON."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
