"""The shares of a mixture: told before training with the repeats of each source, and counted while it runs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lilliput.corpus.mixing import weights
from lilliput.corpus.sources.entry import Entry
from lilliput.stages.prepare import Data
from lilliput.stages.recipe import Recipe
from lilliput.tokens.batches import Batches
from lilliput.tokens.tokenizer import Tokenizer


def stream(recipe: Recipe, tokenizer: Tokenizer, data: Data, *, by_windows: bool = False) -> Batches:
    """The stream of batches of a recipe, whose length is not known yet."""
    shares = weights(recipe.data.sources, recipe.data)
    return Batches(
        data.train,
        shares[0],
        list(zip(recipe.data.stages, shares[1:], strict=True)),
        seed=recipe.seed,
        batch_size=recipe.training.batch_size,
        context_length=recipe.training.context_length,
        stride=recipe.data.stride,
        lengths=tokenizer.lengths(),
        by_windows=by_windows,
    )


def names(sources: Sequence[Entry]) -> list[str]:
    """The sources' labels, told apart by a number where several have the same."""
    seen, found = Counter[str](), list[str]()
    for source in sources:
        seen[source.label] += 1
        found.append(source.label if seen[source.label] == 1 else f"{source.label} ({seen[source.label]})")
    return found


def percent(share: float) -> str:
    """`60 %`, `33.33 %`."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + " %"


def told(recipe: Recipe, batches: Batches, total: int) -> Iterator[str]:
    """What a mixture does over a run of `total` updates, one line for each source; nothing of a single source."""
    if len(recipe.data.sources) == 1:
        return
    rows, starts = weights(recipe.data.sources, recipe.data), batches.starts(total)
    per_epoch = batches.windows / batches.batch_size
    yield f"an epoch is {per_epoch:,.1f} updates: as many windows as all sources have together"
    for number, (name, times) in enumerate(zip(names(recipe.data.sources), batches.repeats(total), strict=True)):
        words = f"{name}: {percent(rows[0][number])} of the tokens trained on"
        words += "".join(
            f", {percent(row[number])} from update {start + 1:,}"
            for row, start in zip(rows[1:], starts[1:], strict=True)
        )
        yield f"{words}; read {times:,.2f} times"


def remarks(recipe: Recipe, batches: Batches, total: int) -> Iterator[str]:
    """Stages that a run is too short for."""
    edges = [*batches.starts(total), total]
    for stage, (start, stop) in enumerate(pairwise(edges), 1):
        if start == stop and len(edges) > 2:
            yield f"a run of {total:,} updates has none for stage {stage} of its mixture"


@dataclass(frozen=True)
class Shares:
    """Counts the tokens that each source has given, stage by stage."""

    recipe: Recipe
    batches: Batches

    def add(self, counted: list[list[int]], step: int, targets: Sequence[int]) -> list[int]:
        """Count the targets of an update into `counted`, one row a stage; returns each source's sum so far."""
        count, stage = len(self.recipe.data.sources), self.batches.stage(step)
        while len(counted) <= stage:
            counted.append([0] * count)
        for source, number in enumerate(targets):
            counted[stage][source] += number
        return [sum(column) for column in zip(*counted, strict=True)]

    def record(self, sums: Sequence[int]) -> dict[str, int]:
        """Keys of a line of the metrics log."""
        return {f"tokens_seen.{name}": number for name, number in zip(self.names, sums, strict=True)}

    @property
    def names(self) -> list[str]:
        return names(self.recipe.data.sources)

    def realised(self, counted: Sequence[Sequence[int]]) -> Iterator[str]:
        """The share that each source had, beside its weight, of each stage that has begun."""
        wanted = weights(self.recipe.data.sources, self.recipe.data)
        for stage, row in enumerate(counted):
            where = f"stage {stage + 1}, " if len(wanted) > 1 else ""
            parts = (
                f"{name} {percent(number / max(1, sum(row)))} ({percent(share)})"
                for name, number, share in zip(self.names, row, wanted[stage], strict=True)
            )
            yield f"shares of {where}{sum(row):,} tokens, and weights: {', '.join(parts)}"
