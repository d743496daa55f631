"""Evaluation of a trained model: its figures on held-out text, beside what the same text costs without it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.load import load
from lilliput.corpus.named import expand_sources
from lilliput.corpus.sources import Source
from lilliput.evals import baselines, run
from lilliput.evals.baselines import Baseline, Texts
from lilliput.evals.run import Report
from lilliput.runs import durable
from lilliput.runs.metrics import encode
from lilliput.stages.opened import Opened, open_model
from lilliput.stages.prepare import ValidationConfig, prepare, shard
from lilliput.tokens.batches import validation_batches
from lilliput.tokens.shards import Shard
from lilliput.tokens.tokenizer import Tokenizer

BATCH_SIZE = 8
"""Windows scored side by side; no figure depends on it."""


@dataclass(frozen=True)
class Evaluation:
    """One model on one text."""

    model: str
    text: str
    """`validation`, `test`, or a validation set's name."""
    context_length: int
    report: Report
    baselines: tuple[Baseline, ...]


@dataclass(frozen=True)
class HeldOut:
    name: str
    shard: Shard
    sources: Sequence[Source]


def evaluate(
    word: str,
    *,
    data: Sequence[str] = (),
    part: str = "validation",
    orders: Sequence[int] = (3, 5, 7),
    max_batches: int | None = None,
    device: str = "auto",
) -> Iterator[Evaluation]:
    """Evaluate a model on each of its validation sets, on its test part, or on other `data` (names or paths).

    Windows and masks are those of validation in training. Byte n-grams are fitted on the training part of the model's
    own run; where a text's source knows its own entropy, that is the floor. Results are kept in the run's `evals/`.
    """
    opened = open_model(word, device)
    train, held_out = _texts(opened, data, part)
    for text in held_out:
        found = _evaluated(opened, text, train, orders, max_batches)
        _keep(opened, found)
        yield found


def _texts(opened: Opened, data: Sequence[str], part: str) -> tuple[list[Shard], list[HeldOut]]:
    """The run's training shards, and what to evaluate on."""
    recipe, tokenizer = opened.recipe, opened.tokenizer
    asked = recipe.validation
    if data:
        asked = load(ValidationConfig, {"sources": expand_sources(list(data))}, origin="--data")
    found = prepare(recipe.data, asked, tokenizer)
    if part == "test" and not data:
        test = shard(recipe.data.sources, recipe.data, "test", tokenizer)
        if not test.num_documents:
            cause = f"{opened.run.name} kept no text for a test: `data.split.test` was {recipe.data.split.test:g}"
            raise LilliputError(cause, "name other text with `--data`", Exit.MISSING)
        return found.train, [HeldOut("test", test, recipe.data.sources)]
    if not found.validation:
        cause = f"{opened.run.name} kept no text for validation"
        raise LilliputError(cause, "name other text with `--data`", Exit.MISSING)
    own = {source.label: [source] for source in asked.sources}
    return found.train, [HeldOut(n, text, own.get(n, recipe.data.sources)) for n, text in found.validation.items()]


def _evaluated(
    opened: Opened, text: HeldOut, train: Sequence[Shard], orders: Sequence[int], max_batches: int | None
) -> Evaluation:
    tokenizer, context = opened.tokenizer, opened.recipe.training.context_length
    batches = validation_batches(text.shard, context, BATCH_SIZE, tokenizer.lengths(), max_batches)
    report = run.evaluate(opened.model, batches)
    seen = partial(_documents, [text.shard], tokenizer, before=report.windows * context)
    others = [
        baselines.uniform(tokenizer.size, report.targets, report.bytes),
        *baselines.ngrams(partial(_documents, train, tokenizer), seen, orders),
        *_floor(text, seen),
    ]
    return Evaluation(opened.name, text.name, context, report, tuple(others))


def _floor(text: HeldOut, seen: Texts) -> Iterator[Baseline]:
    """The exact entropy, where every source of the text knows it."""
    known = [getattr(source, "nats", None) for source in text.sources]
    if known and all(known):
        numbers = iter(text.shard.sources.tolist())
        yield baselines.entropy(lambda document: known[next(numbers)](document.decode()), seen)


def _documents(shards: Sequence[Shard], tokenizer: Tokenizer, before: int | None = None) -> Iterator[bytes]:
    """The texts that shards hold, without begin and end; of each shard those that start `before` a token."""
    for text in shards:
        for start, stop in pairwise(text.offsets[: np.searchsorted(text.offsets, before) + 1 if before else None]):
            yield tokenizer.decode_bytes(text.tokens[start + 1 : stop - 1].tolist())


def _keep(opened: Opened, found: Evaluation) -> None:
    durable.make_dir(opened.run.evals)
    path = opened.run.evals / f"{found.text.replace('/', '-')}-step-{opened.step:08d}.json"
    durable.replace(path, encode(plain(found)))


def plain(found: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON-able data."""
    tree: dict[str, Any] = json.loads(encode(asdict(found)))  # non-finite numbers as strings
    return tree
