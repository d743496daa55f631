"""How sources are mixed: their shares in each stage of a run, and limits of the whole, divided by these shares."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any, TypeVar

from pydantic import Field

from lilliput.config.settings import Fatal, settings
from lilliput.corpus.sources.entry import Entry

LIMITS = ("max_samples", "max_bytes", "max_tokens", "max_files")

Some = TypeVar("Some", bound=Entry)


@settings
class Mixing:
    stages: Fatal[tuple[Annotated[float, Field(gt=0, lt=1)], ...]] = ()
    """Shares of the run after which each source's next weight holds, e.g. `[0.8]` for weights such as `[3, 1]`."""
    max_samples: Fatal[int | None] = Field(default=None, gt=0)
    """Take at most this many documents of all sources together, divided among them by their weights."""
    max_bytes: Fatal[int | None] = Field(default=None, gt=0)
    """Take at most this many bytes of all sources together, divided among them by their weights."""
    max_tokens: Fatal[int | None] = Field(default=None, gt=0)
    """Take at most this many tokens of all training parts together, divided among them by the sources' weights."""
    max_files: Fatal[int | None] = Field(default=None, gt=0)
    """Read at most this many files of all sources together, divided among those that have files by their weights."""


def borders(mixing: Mixing) -> list[float]:
    """Where stages begin and the last one ends, as shares of the run."""
    return [0.0, *mixing.stages, 1.0]


def weights(sources: Sequence[Entry], mixing: Mixing) -> list[list[float]]:
    """For each stage, the share of the training tokens that each source has."""
    rows = [
        [source.weights[min(stage, len(source.weights) - 1)] for source in sources]
        for stage in range(len(mixing.stages) + 1)
    ]
    return [[weight / sum(row) for weight in row] for row in rows]


def over_run(sources: Sequence[Entry], mixing: Mixing) -> list[float]:
    """The share of the training tokens that each source has over all stages together."""
    lengths = [stop - start for start, stop in pairwise(borders(mixing))]
    columns = zip(*weights(sources, mixing), strict=True)
    return [sum(length * share for length, share in zip(lengths, column, strict=True)) for column in columns]


def refuse(sources: Sequence[Entry], mixing: Mixing) -> None:
    """Raise ValueError where weights, stages and limits do not fit together."""
    stages, count = mixing.stages, len(mixing.stages) + 1
    if list(stages) != sorted(set(stages)):
        raise ValueError(f"stages: {list(stages)} has to rise: each is the share of the run that is over by then")
    for number, source in enumerate(sources):
        given, name = len(source.weights), f"sources[{number}].weight: {source.label}"
        if given not in (1, count):
            raise ValueError(f"{name} has {given} weights; {_what(count)}")
        if not any(source.weights):
            raise ValueError(f"{name} is 0 in every stage and would never be read; leave the source out")
    if stages and all(len(source.weights) == 1 for source in sources):
        raise ValueError(f"stages: no source has a weight for each of {count} stages, e.g. `weight: {[1] * count}`")
    for stage in range(count):
        if not any(source.weights[min(stage, len(source.weights) - 1)] for source in sources):
            raise ValueError(f"sources: every weight of stage {stage + 1} is 0; at least one has to be above 0")
    for limit in LIMITS:
        _parts(sources, mixing, limit)


def _what(count: int) -> str:
    if count == 1:
        return "it may be a number, or `data.stages` says after which shares of the run the next one holds"
    return f"it may be a number, or a list of {count}, one for each stage of `data.stages`"


def within(sources: Sequence[Some], mixing: Mixing) -> tuple[Some, ...]:
    """The sources, each within its own limits and its part of those of the whole."""
    narrowed = list(sources)
    for limit in LIMITS:
        for number, part in enumerate(_parts(sources, mixing, limit)):
            own = getattr(sources[number], limit)
            if part is not None and (own is None or part < own):
                change: dict[str, Any] = {limit: part}
                narrowed[number] = replace(narrowed[number], **change)
    return tuple(narrowed)


def _parts(sources: Sequence[Entry], mixing: Mixing, limit: str) -> list[int | None]:
    """What each source gets of a limit: whole numbers by largest remainders, together the limit; None = unlimited."""
    most: int | None = getattr(mixing, limit)
    chosen = [number for number, source in enumerate(sources) if limit != "max_files" or source.has_files]
    parts: list[int | None] = [None] * len(sources)
    if most is None:
        return parts
    if not chosen:
        raise ValueError(f"{limit}: {most} limits nothing, for no source has files")
    whole_run = over_run(sources, mixing)
    shares = [whole_run[number] for number in chosen]
    exact = [most * share / sum(shares) for share in shares]
    whole = [int(part) for part in exact]
    by_remainder = sorted(range(len(chosen)), key=lambda place: whole[place] - exact[place])
    for place in by_remainder[: most - sum(whole)]:
        whole[place] += 1
    for number, part in zip(chosen, whole, strict=True):
        if part < 1:
            cause = f"{limit}: {most} divided by weight leaves none for {sources[number].label}"
            raise ValueError(f"{cause}; it may be null, or larger, or the source left out")
        parts[number] = part
    return parts
