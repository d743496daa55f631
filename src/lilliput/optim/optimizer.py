"""One optimizer over AdamW and Muon: fp32 weights, one state by parameter name, one update counter."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lilliput.config.errors import Exit, LilliputError
from lilliput.optim.groups import Trainable


class Weights:
    """The weights that updates act on, by name: the model's own, or fp32 masters of a model in bfloat16.

    Only parameters are lowered: a buffer, such as a table of angles, keeps its precision.
    """

    def __init__(self, model: Trainable, dtype: torch.dtype) -> None:
        trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        frozen = {name: parameter for name, parameter in model.named_parameters() if not parameter.requires_grad}
        self.own, self.still = list(trained.values()), frozen
        self.lowered = dtype != torch.float32
        self.named = trained
        self.frozen = {name: parameter.detach() for name, parameter in frozen.items()}
        """Weights that no update acts on, in the precision in which they are saved."""
        if self.lowered:
            self.frozen = {name: value.clone().float() for name, value in self.frozen.items()}
            self.named = {name: nn.Parameter(parameter.detach().clone().float()) for name, parameter in trained.items()}
            for parameter in model.parameters():
                parameter.data = parameter.data.to(dtype)

    @torch.no_grad()
    def collect(self) -> None:
        """Add the model's gradients to the masters', in fp32, and clear them."""
        if not self.lowered:
            return
        pairs = [(m, p.grad) for m, p in zip(self.named.values(), self.own, strict=True) if p.grad is not None]
        fresh = [(master, gradient) for master, gradient in pairs if master.grad is None]
        known = [(master.grad, gradient) for master, gradient in pairs if master.grad is not None]
        for master, gradient in fresh:
            master.grad = gradient.float()
        if known:
            torch._foreach_add_([into for into, _ in known], [gradient for _, gradient in known])
        for parameter in self.own:
            parameter.grad = None

    @torch.no_grad()
    def publish(self) -> None:
        """Copy the masters to the model, rounded."""
        if self.lowered:
            torch._foreach_copy_(list[Tensor](self.own), list(self.named.values()))

    @torch.no_grad()
    def load(self, value_of: Callable[[str], Tensor]) -> None:
        """Take over values by name, one at a time, in the precision of the weights that updates act on."""
        for name, weight in (self.named | self.frozen).items():
            weight.copy_(value_of(name))
        self.publish()
        for name, parameter in self.still.items():
            parameter.copy_(self.frozen[name])

    def stored(self, name: str) -> Tensor | None:
        """What of that name is saved; None for what is no parameter."""
        found = self.named.get(name, self.frozen.get(name))
        return None if found is None else found.detach()

    def gradients(self) -> list[Tensor]:
        return [weight.grad for weight in self.named.values() if weight.grad is not None]


class Optimizer:
    """torch optimizers that share out a model's weights."""

    def __init__(self, weights: Weights, parts: list[torch.optim.Optimizer]) -> None:
        self.weights, self.parts, self.updates = weights, parts, 0

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Every group, with its `peak_lr`; the first one's rate is the one that logs show."""
        return [group for part in self.parts for group in part.param_groups]

    def set_lr(self, multiplier: float) -> float:
        """Give every group its share of its peak rate, or 0 until it may learn; the first group's rate."""
        for group in self.param_groups:
            group["lr"] = group["peak_lr"] * multiplier if self.updates >= group["asleep"] else 0.0
        return float(self.param_groups[0]["lr"])

    def step(self) -> None:
        """One update of every weight; a gradient that no target reached is 0, so that one counter serves all."""
        for weight in self.weights.named.values():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        for part in self.parts:
            part.step()
        self.weights.publish()
        self.updates += 1

    def sleep(self, updates: int) -> None:
        """Let the late groups learn only after so many updates; until then their weights stay as they are."""
        for group in self.param_groups:
            group["asleep"] = updates if group["late"] else 0

    def take(self, found: Mapping[str, Tensor], updates: int) -> None:
        """Take over what is found of a state, by `<parameter>/<buffer>`; all other buffers start at zero."""
        if found:
            empty = {key: torch.zeros(shape) for key, shape in self.shapes().items() if key not in found}
            self.check({key: tuple(value.shape) for key, value in (empty | dict(found)).items()})
            self.load_tensors(empty | dict(found), updates)

    def zero_grad(self) -> None:
        for weight in (*self.weights.named.values(), *self.weights.own):
            weight.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """State by `<parameter>/<buffer>`; torch's own step counters are all `updates`, which is kept apart."""
        return {
            f"{name}/{buffer}": value
            for name, weight in self.weights.named.items()
            for part in self.parts
            for buffer, value in part.state.get(weight, {}).items()
            if buffer != "step"
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """What `tensors` holds after an update, without its values."""
        return {key: self._shape(name) for key, name in self._buffers().items()}

    def check(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Raise `LilliputError` (content) unless a state of these names and shapes is one that `tensors` could give."""
        wanted = self.shapes()
        stray = [key for key in shapes if key not in wanted or tuple(shapes[key]) != wanted[key]]
        absent = [key for key in wanted if shapes and key not in shapes]  # none before the first update
        if stray or absent:
            raise LilliputError(
                f"the optimizer's state does not fit this model: {(stray + absent)[0]}",
                "resume with the recipe of the run, or start anew from its weights with --from",
                Exit.CONTENT,
            )

    def load_tensors(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Take over the state, already checked, that `tensors` gave after `updates` updates."""
        self.updates = updates
        for part in self.parts:
            part.state.clear()
        for key, name in self._buffers().items():
            if key not in tensors:
                continue
            weight = self.weights.named[name]
            state = self._part_of(weight).state[weight]
            buffer = key.removeprefix(f"{name}/")
            state[buffer] = tensors[key].detach().to(device=weight.device, dtype=weight.dtype, copy=True)
            if buffer == "exp_avg":
                state["step"] = torch.tensor(float(updates), device=weight.device)

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.weights.named[name].shape)

    def _buffers(self) -> dict[str, str]:
        """Every `<parameter>/<buffer>` that the state has after an update, with its parameter."""
        muon, adamw = ("momentum_buffer",), ("exp_avg", "exp_avg_sq")
        return {
            f"{name}/{buffer}": name
            for name, weight in self.weights.named.items()
            for buffer in (muon if isinstance(self._part_of(weight), torch.optim.Muon) else adamw)
        }

    def _part_of(self, weight: Tensor) -> torch.optim.Optimizer:
        return next(p for p in self.parts if any(weight is member for g in p.param_groups for member in g["params"]))
