"""Building a corpus: everything that a recipe does before it trains, and what became of each document on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from lilliput.config import load as config
from lilliput.config.settings import Fatal, settings
from lilliput.corpus.cleaning import Cleaning, Funnel, expand_cleaning
from lilliput.corpus.cluster import Plan, run_locally
from lilliput.corpus.document import Part
from lilliput.corpus.filters import Rule
from lilliput.corpus.filters.encoding import EncodingRule
from lilliput.corpus.filters.length import ShortRule
from lilliput.corpus.mixing import over_run, weights, within
from lilliput.corpus.named import is_path
from lilliput.corpus.processes import cores
from lilliput.corpus.reading import Reading
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.entry import Entry
from lilliput.stages.looking import is_recipe_file
from lilliput.stages.prepare import Clean, Data, DataConfig, ValidationConfig, prepare
from lilliput.stages.recipe import expanded, find_recipe, names, presets, recipe_from
from lilliput.stages.tokenizer import open_tokenizer
from lilliput.tokens import BytesConfig, TokenizerConfig
from lilliput.tokens.shards import Shard


@settings
class Preparation:
    """What a recipe says of data: all that building needs."""

    data: DataConfig
    tokenizer: TokenizerConfig = BytesConfig()
    """How text becomes ids."""
    validation: ValidationConfig = ValidationConfig()


@settings
class FileCleaning(Reading):
    """How one file is read and cleaned."""

    rules: Fatal[tuple[Rule, ...]] = (EncodingRule(), ShortRule())
    """Rules for each document, in order."""


@dataclass(frozen=True)
class Built:
    """Shards, and what became of the documents of each source."""

    sources: tuple[Source, ...]
    labels: list[str]
    provenance: list[str]
    """Where each source's text really comes from: samples and stand-ins are called by their names."""
    shares: list[list[float]]
    """For each source its share of the training tokens, in each stage of the mixture."""
    repeats: list[float]
    """How often training reads each source in one epoch, which has as many tokens as all sources together."""
    data: Data
    funnels: list[Funnel]

    def shards(self) -> list[tuple[str, str, Shard]]:
        """(part, name, shard) of all shards, training first."""
        train = [("train", label, shard) for label, shard in zip(self.labels, self.data.train, strict=True)]
        return train + [("validation", name, shard) for name, shard in self.data.validation.items()]


def preparation(word: str, overrides: Sequence[str] = ()) -> Preparation:
    """What to build: a recipe's data, a recipe that says no more than that, or one corpus by its name or path."""
    if word in names() or is_recipe_file(word):
        tree = config.merge(config.read(find_recipe(word)), overrides, presets=presets())
        if "model" in tree:
            recipe = recipe_from(tree, origin=word)
            return Preparation(data=recipe.data, tokenizer=recipe.tokenizer, validation=recipe.validation)
    else:
        source = {"path" if is_path(word) else "name": word}
        tree = config.merge({"data": {"sources": [source]}}, overrides)
    return loaded(tree, word)


def loaded(tree: Mapping[str, Any], origin: str) -> Preparation:
    """What a tree without a model says of data."""
    found = config.load(Preparation, expanded(tree), origin=origin)
    data = found.data
    narrowed = {**vars(data), "sources": within(data.sources, data)}
    return Preparation(data=DataConfig(**narrowed), tokenizer=found.tokenizer, validation=found.validation)


def cleaning_of(overrides: Sequence[str]) -> tuple[Cleaning, Reading]:
    """How `corpus clean` cleans, and reads: without words by the defaults of `FileCleaning`."""
    tree = config.merge({}, overrides)
    wanted = config.load(FileCleaning, expand_cleaning(tree), origin="corpus clean")
    return Cleaning(rules=wanted.rules), _reading(wanted)


def _reading(wanted: Reading) -> Reading:
    """What of some settings says how bytes are read."""
    return Reading(**{field.name: getattr(wanted, field.name) for field in fields(Reading)})


def build(prepared: Preparation, engine: str = "local") -> Built:
    """Write the shards of a corpus, as training would; what is there already is opened.

    `datatrove` cleans through that library's executors and leaves the same bytes.
    """
    data = prepared.data
    if engine == "datatrove":
        run_locally(plan(data), data.cleaning.workers or cores())
    shards = prepare(data, prepared.validation, open_tokenizer(prepared.tokenizer, data))
    clean = Clean(data).all
    shares = [list(column) for column in zip(*weights(data.sources, data), strict=True)]
    tokens = [shard.num_targets for shard in shards.train]
    overall = zip(over_run(data.sources, data), tokens, strict=True)
    return Built(
        data.sources,
        [source.label for source in data.sources],
        [source.provenance() for source in clean],
        shares,
        [share * sum(tokens) / max(1, count) for share, count in overall],
        shards,
        [funnel(source, data) for source in clean],
    )


def plan(data: DataConfig) -> Plan:
    """The cleaning of a recipe's data, for executors that carry it out elsewhere."""
    return Plan(data.sources, data.cleaning, _reading(data), data.split)


def funnel(source: Entry, data: DataConfig) -> Funnel:
    """What became of all documents of a source; one that nothing cleans is read for it."""
    found = Funnel()
    parts: tuple[Part | None, ...] = source.parts if data.split.kind in ("auto", "official") else ()
    for part in parts or (None,):
        found.add(source.funnel(data, part))
    return found
