"""One evaluation: a model over batches, in the windows and under the masks of its training's validation."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lilliput.config.errors import Exit, LilliputError
from lilliput.evals.score import RESAMPLES, Figure, Tally, bits, perplexity, ratio
from lilliput.models.contract import LanguageModel
from lilliput.nn.loss import token_scores
from lilliput.tokens.batch import Batch

# Shapes: B windows, T time


@dataclass(frozen=True)
class Report:
    """What a model scores on a text; intervals are 95 % bootstrap intervals over `windows` windows."""

    loss: Figure
    """Nats per target, the ends of documents included."""
    ppl: Figure
    bpb: Figure
    """Bits per byte; an end costs bits and spells no byte."""
    accuracy: Figure
    top5: Figure
    targets: int
    bytes: int
    windows: int
    seconds: float


def evaluate(model: LanguageModel, batches: Iterable[Batch], *, resamples: int = RESAMPLES) -> Report:
    """Score each counted target of the batches once; the model's training mode is left as it was.

    With 0 `resamples` there are no intervals, which is what a validation in the middle of training wants.
    """
    start = time.perf_counter()
    was_training = model.training
    model.eval()
    try:
        rows = [_scored(model, batch) for batch in batches]
    finally:
        model.train(was_training)
    if not rows:
        raise LilliputError("there is no text to evaluate on", "name a part or a set that holds text", Exit.CONTENT)
    return report(Tally(*np.concatenate(rows, axis=1)), time.perf_counter() - start, resamples)


def report(tally: Tally, seconds: float, resamples: int = RESAMPLES) -> Report:
    """The figures of a tally over windows."""
    figure = partial(ratio, resamples=resamples)
    return Report(
        loss=figure(tally.nats, tally.targets),
        ppl=figure(tally.nats, tally.targets, perplexity),
        bpb=figure(tally.nats, tally.bytes, bits),
        accuracy=figure(tally.top1, tally.targets),
        top5=figure(tally.top5, tally.targets),
        targets=int(tally.targets.sum()),
        bytes=int(tally.bytes.sum()),
        windows=len(tally.targets),
        seconds=seconds,
    )


@torch.no_grad()
def _scored(model: LanguageModel, batch: Batch) -> NDArray[np.float64]:
    """(5, B) what a `Tally` holds, for each window of the batch."""
    device = next(model.parameters()).device
    tokens, targets, mask, documents = (
        torch.from_numpy(part).to(device) for part in (batch.tokens, batch.targets, batch.mask, batch.documents)
    )
    features = model(tokens, documents=documents).features  # (B, T, D)
    scores = token_scores(model.head, features, targets, mask)
    sums = [_sums(part) for part in (scores.nats, mask, scores.top1, scores.top5)]
    return np.stack([*sums[:2], batch.bytes.astype(np.float64), *sums[2:]])


def _sums(values: Tensor) -> NDArray[np.float64]:
    """Row sums (B,) of values (B, T), in float64."""
    sums: NDArray[np.float64] = values.cpu().double().sum(dim=1).numpy()
    return sums
