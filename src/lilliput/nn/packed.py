"""A model as it decodes on a CPU: weights in the order in which a product of few rows reads them, fewer operations."""

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any, TypeGuard, TypeVar
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.nn.activations import gelu_tanh
from lilliput.nn.feed_forward import FeedForward
from lilliput.nn.kernels import has_bfloat16, kernels
from lilliput.nn.norms import rms_of_few
from lilliput.nn.projections import Part

# Shapes: I inputs, O outputs, P threads

FEW = 32
"""Rows up to which a product is bound by reading the weights."""
TOGETHER = (("query", "key", "value"), ("gate", "up"))
"""Layers of one module, by name, that are given the same tensor: one product for all of them."""

Model = TypeVar("Model", bound=nn.Module)

_kept: WeakKeyDictionary[nn.Module, tuple[list[Any], nn.Module | None]] = WeakKeyDictionary()


def packed(model: Model) -> Model:
    """A twin of the model for passes over at most `FEW` rows without gradients, kept while the weights are the same.

    Its linear layers multiply by weights in other orders, made at the first pass over one row and the first over more;
    each order takes about as much memory as the weights again. Whatever has no linear layers in it is the model's own.
    The model is not touched; one that learns while its twin is in use needs a new twin. Without a CPU, or in a
    precision that the processor does not have, there is nothing to pack and the model itself comes back.
    """
    version = _version(model)
    known, twin = _kept.get(model, (None, None))
    if known != version:
        twin = _twin(model) if kernels().decoding != "plain" and any(map(_is_packable, model.modules())) else None
        _kept[model] = version, None if twin is model else twin  # a value that held its key would keep it for ever
    return model if twin is None else twin  # type: ignore[return-value]


def forget(model: nn.Module) -> None:
    """Give the memory of a model's copies back."""
    _kept.pop(model, None)


def _version(model: nn.Module) -> list[Any]:
    """Equal for equal weights and threads: torch counts what is written in place, unless it goes through `data`."""
    threads = torch.get_num_threads()
    return [kernels().decoding, threads, *((id(p), p.data_ptr(), p.dtype, p._version) for p in model.parameters())]


def _twin(module: Any) -> Any:
    """The module with packed layers, or itself where it has none or was given a forward pass or hooks of its own."""
    if "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks:
        return module
    own = _products(module)
    parts = {name: own.get(name) or (part and _twin(part)) for name, part in module._modules.items()}
    kind: type[nn.Module] = type(module)
    if kind not in LEAVES and all(part is parts[name] for name, part in module._modules.items()):
        return module
    twin = module.__new__(_direct(kind))  # type: ignore[arg-type]
    vars(twin).update(vars(module) | {"_modules": parts, "training": False})
    vars(twin).update(parts | own)  # found without a detour
    return twin


@cache
def _direct(kind: type[nn.Module]) -> type[nn.Module]:
    """The class without what a module's call does besides its forward pass."""
    return type(kind.__name__, (kind,), {"__call__": LEAVES.get(kind, kind.forward)})


def _rms_norm(self: nn.RMSNorm, x: Tensor) -> Tensor:
    """As the norm itself where it is not in float32 over one dimension with a scale."""
    if x.dtype != torch.float32 or len(self.normalized_shape) > 1 or self.weight is None:
        return self.forward(x)
    return rms_of_few(x, self.eps or torch.finfo(x.dtype).eps).mul_(self.weight)


LEAVES: dict[type[nn.Module], Any] = {
    nn.Dropout: lambda _, x: x,
    nn.Embedding: nn.Embedding.forward,
    nn.Identity: nn.Identity.forward,
    nn.LayerNorm: lambda self, x: torch.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps),
    nn.RMSNorm: _rms_norm,
}
"""torch's own parts, whose copies hold nothing that could grow old."""


def _products(module: nn.Module) -> dict[str, Any]:
    """What stands for the module's own linear layers, by name."""
    layers = {name: layer for name, layer in module._modules.items() if _is_packable(layer)}
    found: dict[str, Any] = {}
    for names in TOGETHER:
        group = [layers[name] for name in names if name in layers]
        if len(group) == len(names) and len({(layer.in_features, layer.bias is None) for layer in group}) == 1:
            product, sizes = _Product(group), [layer.out_features for layer in group]
            found |= {name: Part(group[place], product, sizes, place) for place, name in enumerate(names)}
    if isinstance(module, FeedForward) and module.activate is gelu_tanh and "up" in layers:
        found |= {"up": Part(layers["up"], _Product([layers["up"]], gelu=True)), "activate": _same}
    return found | {name: Part(layer, _Product([layer])) for name, layer in layers.items() if name not in found}


def _is_packable(layer: object) -> TypeGuard[nn.Linear]:
    if type(layer) is not nn.Linear or "forward" in vars(layer) or layer._forward_hooks or layer._forward_pre_hooks:
        return False
    device, dtype = layer.weight.device, layer.weight.dtype
    if device.type != "cpu" or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and has_bfloat16(device))


class _Product:
    """x (..., I) times the weights of all layers, (..., O), and GELU if asked for."""

    def __init__(self, layers: Sequence[nn.Linear], *, gelu: bool = False) -> None:
        self.layers, self.outputs, self.gelu = layers, sum(layer.out_features for layer in layers), gelu
        has_mkl: bool = torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        self.is_shared = has_mkl and layers[0].weight.dtype == torch.float32
        self.multiply = torch.ops.mkldnn._linear_pointwise.default

    def __call__(self, x: Tensor) -> Tensor:
        if self.is_shared and x.numel() == x.shape[-1]:
            return self._one(x)
        weight, bias = self.reordered
        then, form = ("gelu", "tanh") if self.gelu else ("none", "")
        return self.multiply(x, weight, bias, then, [], form)  # type: ignore[no-any-return]

    def _one(self, x: Tensor) -> Tensor:
        """One row: a share of the outputs for each thread; a product of a vector and a matrix runs on one."""
        weight, bias = self.shares
        y = torch.baddbmm(bias, x.view(1, 1, -1).expand(len(weight), 1, -1), weight).view(*x.shape[:-1], -1)
        if y.shape[-1] > self.outputs:
            y = y[..., : self.outputs]
        return F.gelu(y, approximate="tanh") if self.gelu else y

    @cached_property
    @torch.inference_mode(mode=False)
    def reordered(self) -> tuple[Tensor, Tensor | None]:
        """Weights in oneDNN's order for a few rows, and biases."""
        weight, bias = self._joined()
        return torch.ops.mkldnn._reorder_linear_weight(weight, FEW), bias

    @cached_property
    @torch.inference_mode(mode=False)
    def shares(self) -> tuple[Tensor, Tensor]:
        """Weights (P, I, O / P), contiguous along the longer of I and O, and biases (P, 1, O / P); O is rounded up."""
        weight, bias = self._joined()
        count, inputs = torch.get_num_threads(), weight.shape[1]
        if missing := -self.outputs % count:
            weight = F.pad(weight, (0, 0, 0, missing))
            bias = None if bias is None else F.pad(bias, (0, missing))
        turned = weight.view(count, -1, inputs).mT
        bias = weight.new_zeros(()) if bias is None else bias.view(count, 1, -1)
        return turned.contiguous() if self.outputs > inputs else turned, bias

    def _joined(self) -> tuple[Tensor, Tensor | None]:
        weights = [layer.weight.detach() for layer in self.layers]
        biases = [layer.bias.detach() for layer in self.layers if layer.bias is not None]
        if len(weights) == 1:
            return weights[0], biases[0] if biases else None
        return torch.cat(weights), torch.cat(biases) if biases else None


def _same(x: Tensor) -> Tensor:
    return x
