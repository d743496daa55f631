"""Linear layers while a model decodes: weights in the order in which a product of few rows reads them."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeGuard
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.nn.kernels import has_bfloat16, kernels

# Shapes: R rows, I inputs, O outputs

FEW = 32
"""Rows up to which a product is bound by reading the weights."""
TOGETHER = (("query", "key", "value"), ("gate", "up"))
"""Layers of one module, by name, that are given the same tensor: one product for all of them."""

_kept: WeakKeyDictionary[nn.Module, "Packed"] = WeakKeyDictionary()


class Packed:
    """A context in which a model's linear layers multiply few rows by packed copies of their weights.

    Copies are made when first used, and take as much memory as the weights again. It is for passes without gradients
    on a CPU, in a precision that the processor has; others find nothing packed. `nn.Linear` alone is replaced.
    """

    def __init__(self, model: nn.Module) -> None:
        self.version = _version(model)
        self._forwards: list[tuple[dict[str, Any], Callable[[Tensor], Tensor]]] = []
        for group in _groups(model):
            product = _Product(group)
            self._forwards += [(vars(layer), product.forward(i)) for i, layer in enumerate(group)]

    def __enter__(self) -> None:
        for attributes, forward in self._forwards:
            attributes["forward"] = forward

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for attributes, _ in self._forwards:
            attributes.pop("forward", None)


def packed(model: nn.Module) -> Packed:
    """The copies of a model's weights, kept from the call before while the weights are the same."""
    found = _kept.get(model)
    if found is None or found.version != _version(model):
        found = _kept[model] = Packed(model)
    return found


def forget(model: nn.Module) -> None:
    """Give the memory of a model's copies back."""
    _kept.pop(model, None)


def _version(model: nn.Module) -> list[Any]:
    """Equal for equal weights: torch counts what is written in place, unless it goes through `data`."""
    return [kernels().decoding, *((id(p), p.data_ptr(), p.dtype, p._version) for p in model.parameters())]


def _groups(model: nn.Module) -> list[list[nn.Linear]]:
    """The layers to be packed, those that are given the same tensor side by side."""
    if kernels().decoding == "plain" or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return []
    found: list[list[nn.Linear]] = []
    for module in model.modules():
        for names in TOGETHER:
            group = [layer for name in names if _is_packable(layer := getattr(module, name, None))]
            if len(group) == len(names) and len({(layer.in_features, layer.bias is None) for layer in group}) == 1:
                found.append(group)
    taken = {layer for group in found for layer in group}
    return found + [[layer] for layer in model.modules() if _is_packable(layer) and layer not in taken]


def _is_packable(layer: object) -> TypeGuard[nn.Linear]:
    if type(layer) is not nn.Linear or "forward" in vars(layer):
        return False
    device, dtype = layer.weight.device, layer.weight.dtype
    return device.type == "cpu" and (dtype == torch.float32 or (dtype == torch.bfloat16 and has_bfloat16(device)))


class _Product:
    """The products of some layers with the same rows, made at once when one of them is asked."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self.layers, self.sizes = layers, [layer.out_features for layer in layers]
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None
        self._last: tuple[Tensor | None, Sequence[Tensor]] = None, ()

    def forward(self, index: int) -> Callable[[Tensor], Tensor]:
        """What stands for the layer of that index."""
        layer = self.layers[index]

        def forward(x: Tensor) -> Tensor:
            given, made = self._last
            if x is given:
                return made[index]
            if x.numel() > FEW * layer.in_features or x.numel() == 0 or torch.is_grad_enabled():
                return F.linear(x, layer.weight, layer.bias)
            y = self.times(x)
            if len(self.layers) == 1:
                return y
            self._last = x, (made := torch.split(y, self.sizes, dim=-1))
            return made[index]

        return forward

    def times(self, x: Tensor) -> Tensor:
        """x (..., I) times all weights: (..., O)."""
        if self.weight is None:
            weights, biases = (_joined([getattr(layer, part) for layer in self.layers]) for part in ("weight", "bias"))
            self.weight, self.bias = torch.ops.mkldnn._reorder_linear_weight(weights, FEW), biases
        y: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, self.weight, self.bias, "none", [], "")
        return y


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    held = [part.detach() for part in parts if part is not None]
    return None if not held else held[0] if len(held) == 1 else torch.cat(held)
