"""Which parameters decay, which are hidden matrices, and what factor of the learning rate each gets."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import nn

NONE: Mapping[str, float] = {}


class Trainable(Protocol):
    """What an optimizer asks of a model: its parameters, its head, and the factors of its learning rates."""

    head: nn.Module

    def lr_scales(self) -> dict[str, float]: ...
    def modules(self) -> Iterator[nn.Module]: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...


@dataclass(frozen=True)
class Group:
    """Parameters that share their update rule, their weight decay and their factor of the learning rate."""

    hidden: bool
    """Matrices between hidden features: no embedding, no head, no router, no vector."""
    decays: bool
    scale: float
    late: bool
    """May be told to learn only after so many updates."""
    names: tuple[str, ...]


def group_parameters(
    model: Trainable,
    *,
    decay_embeddings: bool,
    factors: Mapping[str, float] = NONE,
    late: Container[str] = (),
) -> list[Group]:
    """Every trainable parameter in exactly one group; groups in the order in which the model meets them.

    `factors` multiply the learning rates of parameters, by whole names.
    """
    embeddings = set(_parameters_of(module for module in model.modules() if isinstance(module, nn.Embedding)))
    # what a router's matrix means to the choice is in its size too, which Muon does not keep
    routers = {parameter for name, parameter in model.named_parameters() if "router" in name.split(".")}
    outer = embeddings | routers | set(_parameters_of([model.head]))
    scales = model.lr_scales()
    groups: dict[tuple[bool, bool, float, bool], list[str]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        matrix = is_matrix(name, parameter)
        decays = matrix and (decay_embeddings or parameter not in embeddings)
        key = (matrix and parameter not in outer, decays, scale_of(name, scales) * factors.get(name, 1.0), name in late)
        groups.setdefault(key, []).append(name)
    return [Group(*key, tuple(names)) for key, names in groups.items()]


def is_matrix(name: str, parameter: nn.Parameter) -> bool:
    """A `weight` that maps features to features, or a stack of them with one for each expert.

    The biases of a stack, the taps of a depthwise convolution (D, 1, taps) and a table of bounds are vectors too.
    """
    return name.endswith("weight") and parameter.ndim >= 2 and min(parameter.shape[-2:]) > 1


def scale_of(name: str, scales: Mapping[str, float]) -> float:
    """The factor of the longest prefix, in whole words of the dotted name, that `name` begins with."""
    prefixes = [prefix for prefix in scales if f"{name}.".startswith(f"{prefix.rstrip('.')}.")]
    return scales[max(prefixes, key=len)] if prefixes else 1.0


def _parameters_of(modules: Iterable[nn.Module]) -> Iterable[nn.Parameter]:
    return (parameter for module in modules for parameter in module.parameters(recurse=True))
