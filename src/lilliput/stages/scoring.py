"""A trained model as the judge of texts: bits per byte of each, for the perplexity filter."""

from collections.abc import Iterable, Iterator

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import digest
from lilliput.corpus.perplexity import HEAD, Scoring
from lilliput.evals.run import evaluate
from lilliput.runs import stop
from lilliput.runs.checkpoints import MANIFEST
from lilliput.runs.run import resolve
from lilliput.stages.opened import open_model
from lilliput.tokens.batches import validation_batches
from lilliput.tokens.shards import shard_in_memory

WINDOWS = 8
"""Windows of a document scored side by side; no figure depends on it."""


def scoring(word: str) -> Scoring:
    """The scorer of the model that `run`, `run@best`, `run@500` or a checkpoint's path names; opened when it is used.

    Raises LilliputError (MISSING) where there is none.
    """
    run, path = resolve(word)
    if run is None:
        raise LilliputError(f"{path} lies in no run", "name a checkpoint inside its run's folder", Exit.MISSING)

    def scorer(texts: Iterable[str]) -> Iterator[float]:
        opened = open_model(str(path))
        lengths, context = opened.tokenizer.lengths(), opened.recipe.training.context_length
        for text in texts:
            stop.yield_point()
            shard = shard_in_memory([(0, text[:HEAD])], opened.tokenizer)
            batches = validation_batches(shard, context, WINDOWS, lengths)
            yield evaluate(opened.model, batches, resamples=0).bpb.value

    return Scoring(digest(path / MANIFEST)[1], scorer)
