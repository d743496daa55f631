"""Batches on their way to the model: made ahead by threads, placed on the device."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor

from lilliput.tokens.batch import Batch

# Shapes: B windows, T time


@dataclass(frozen=True)
class Placed:
    """A batch on the model's device."""

    tokens: Tensor  # (B, T)
    targets: Tensor  # (B, T)
    mask: Tensor  # (B, T)
    documents: Tensor | None  # (B, T); None where each window is one document without padding
    count: int
    """Targets that count."""


def place(batch: Batch, device: torch.device) -> Placed:
    tokens, targets, mask = (torch.from_numpy(a).to(device) for a in (batch.tokens, batch.targets, batch.mask))
    documents = torch.from_numpy(batch.documents).to(device) if batch.documents.any() else None
    return Placed(tokens, targets, mask, documents, int(batch.mask.sum()))


class Loader:
    """`batch_of` for the steps of a run, made ahead by threads; which batch a step gets never depends on them.

    With no workers, batches are made when asked for. `waited` counts the seconds in which training stood still.
    """

    def __init__(self, batch_of: Callable[[int], Batch], *, total: int, workers: int = 0, prefetch: int = 2) -> None:
        self.batch_of, self.total, self.prefetch = batch_of, total, max(1, prefetch)
        self.pool = ThreadPoolExecutor(workers, thread_name_prefix="batches") if workers > 0 else None
        self.ahead: dict[int, Future[Batch]] = {}
        self.waited = 0.0

    def __call__(self, step: int) -> Batch:
        begun = time.perf_counter()
        batch = self.batch_of(step) if self.pool is None else self._take(self.pool, step)
        self.waited += time.perf_counter() - begun
        return batch

    def _take(self, pool: ThreadPoolExecutor, step: int) -> Batch:
        for number in range(step, min(step + self.prefetch, self.total) + 1):
            if number not in self.ahead:
                self.ahead[number] = pool.submit(self.batch_of, number)
        return self.ahead.pop(step).result()

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
