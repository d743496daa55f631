"""The loop: a generator that yields one `Step` after every update, and knows of no run, log or clock."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from lilliput.config.errors import Exit, LilliputError
from lilliput.models.contract import LanguageModel
from lilliput.nn.loss import summed_nats
from lilliput.optim import Optimizer
from lilliput.tokens.batch import Batch
from lilliput.tokens.batches import digest
from lilliput.tokens.order import hash64
from lilliput.training.loading import Placed, place
from lilliput.training.precision import LossScale, Precision
from lilliput.training.randomness import seeded

FOREACH = ("cpu", "cuda")
"""Where torch takes the norms of many tensors in one call."""


class Loss(NamedTuple):
    """What an objective makes of a batch."""

    nats: Tensor
    """Sum over the counted targets."""
    targets: int
    aux: Mapping[str, Tensor] = {}
    """Auxiliary losses per target, already weighted."""
    monitors: Mapping[str, Tensor] = {}


Objective = Callable[[LanguageModel, Placed], tuple[Tensor, int, Mapping[str, Tensor]] | Loss]


@dataclass(frozen=True)
class Step:
    """One update; tensors are scalars on the model's device."""

    number: int
    """From 1."""
    loss: Tensor
    """Nats per target, without auxiliary losses."""
    aux: dict[str, Tensor]
    monitors: dict[str, Tensor]
    grad_norm: Tensor
    """Before clipping."""
    lr: float
    """Rate of the first group."""
    targets: int
    bytes: int
    micro_batches: int
    batch_digest: str
    by_source: Sequence[int] = ()
    """Targets of each source, where there are several."""


class Diverged(LilliputError):
    """A loss or a gradient is not finite; the update it belongs to was not made."""

    def __init__(self, step: Step) -> None:
        loss, norm = float(step.loss), float(step.grad_norm)
        super().__init__(
            f"training diverged at step {step.number}: loss {loss}, gradient norm {norm}, batch {step.batch_digest}",
            "start a new run from the last checkpoint by `--from RUN`, with a lower optim.lr or longer schedule.warmup",
            Exit.DIVERGED,
        )
        self.step = step


def cross_entropy(model: LanguageModel, batch: Placed) -> Loss:
    """The language-model loss over the targets that count."""
    output = model(batch.tokens, documents=batch.documents)
    nats = summed_nats(model.head, output.features, batch.targets, batch.mask)
    return Loss(nats, batch.count, output.aux, output.monitors)


def train(
    model: LanguageModel,
    optimizer: Optimizer,
    batches: Callable[[int], Batch],
    multiplier: Callable[[int], float],
    *,
    done: int,
    total: int,
    micro_batch_size: int,
    clip: float,
    seed: int,
    precision: Precision = Precision(),  # noqa: B008  # frozen
    scale: LossScale | None = None,
    objective: Objective = cross_entropy,
) -> Iterator[Step]:
    """Updates `done + 1` to `total`. Raises `Diverged` before an update that is not finite.

    fp16 needs its loss `scale`: an update whose gradient overflows is left out, and its step shows the true norm.
    """
    device = next(model.parameters()).device
    for number in range(done + 1, total + 1):
        if not model.training:
            model.train()
        batch = batches(number)
        lr = optimizer.set_lr(multiplier(number))
        optimizer.zero_grad()
        factor = scale.scale / _power_of_two(batch.mask.size) if scale else 1.0
        losses = []
        for index, part in enumerate(batch.split(micro_batch_size)):
            with seeded(device, hash64(seed, "dropout", number, index)):
                with precision.autocast(device):
                    loss = Loss(*objective(model, place(part, device)))
                _backward(loss, factor)
            optimizer.weights.collect()
            losses.append(_detached(loss))
        gradients = optimizer.weights.gradients()
        divisor = max(1, sum(loss.targets for loss in losses)) * factor
        norm = torch.nn.utils.get_total_norm(gradients, foreach=device.type in FOREACH)
        step = _step(number, batch, losses, norm / divisor, lr)
        if _finite(step):
            _scale(gradients, step.grad_norm, clip, divisor)
            optimizer.step()
            if scale:
                scale.grow()
        elif scale is None or not bool(torch.isfinite(step.loss)) or not scale.shrink():
            raise Diverged(step)
        yield step


def _backward(loss: Loss, factor: float) -> None:
    """Gradients of the sum over targets: they are divided once, when the step's number of targets is known."""
    whole = loss.nats
    for aux in loss.aux.values():
        whole = whole + aux * loss.targets
    if whole.requires_grad:
        torch.autograd.backward(whole * factor if factor != 1.0 else whole)


def _detached(loss: Loss) -> Loss:
    aux = {name: value.detach() for name, value in loss.aux.items()}
    return Loss(loss.nats.detach(), loss.targets, aux, {name: value.detach() for name, value in loss.monitors.items()})


def _step(number: int, batch: Batch, losses: Sequence[Loss], grad_norm: Tensor, lr: float) -> Step:
    """Means over the step: of nats and auxiliary losses per target, of monitors per micro-batch."""
    targets, first = sum(loss.targets for loss in losses), losses[0]
    most = max(1, targets)
    return Step(
        number,
        _total(loss.nats for loss in losses) / most,
        {name: _total(loss.aux[name] * loss.targets for loss in losses) / most for name in first.aux},
        {name: _total(loss.monitors[name] for loss in losses) / len(losses) for name in first.monitors},
        grad_norm,
        lr,
        targets,
        int(batch.bytes.sum()),
        len(losses),
        digest(batch),
        () if batch.sources is None else batch.by_source(),
    )


def _total(values: Iterable[Tensor]) -> Tensor:
    return reduce(torch.add, values)


def _finite(step: Step) -> bool:
    """The one place where the loop waits for the device."""
    return bool(torch.isfinite(sum(step.aux.values(), step.loss) + step.grad_norm))


def _scale(gradients: list[Tensor], norm: Tensor, clip: float, divisor: float) -> None:
    """Divide gradient sums, and shorten gradients longer than `clip`, in one pass."""
    factor = (clip / (norm + 1e-6)).clamp(max=1.0) / divisor if clip > 0 else norm.new_tensor(1.0 / divisor)
    if gradients:
        torch._foreach_mul_(gradients, factor)


def _power_of_two(count: int) -> float:
    """The largest one not above `count`: scaling by it never rounds."""
    return float(1 << (count.bit_length() - 1))
