"""Activations of feed-forward blocks, on a CPU with backward passes of their own."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from lilliput.nn.kernels import applied, is_eager_cpu
from lilliput.nn.widening import widened

Activation = Literal["gelu", "gelu_tanh", "relu_squared"]

SLOPE = 2 * math.sqrt(2 / math.pi)
CUBIC = 0.044715


def gelu_tanh(x: Tensor) -> Tensor:
    """GELU by its tanh approximation (arXiv 1606.08415): x times the sigmoid of SLOPE (x + CUBIC x^3)."""
    if is_eager_cpu(x):
        return applied(_GeluTanh, x)
    return F.gelu(x, approximate="tanh")


def relu_squared(x: Tensor) -> Tensor:
    """The square of what is positive (Primer, arXiv 2109.08668)."""
    if is_eager_cpu(x):
        return applied(_ReluSquared, x)
    return F.relu(x).square()


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": gelu_tanh,
    "relu_squared": relu_squared,
}


class _GeluTanh(torch.autograd.Function):
    """0.6 of the time of torch's, whose tanh is slow on a CPU; half precision rounds once, at the end."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        wide = widened(x)
        gate = _grown(wide, CUBIC).sigmoid_()
        ctx.save_for_backward(x, gate)
        return (wide * gate).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        x, gate = ctx.saved_tensors
        wide, gradient = widened(x), widened(gradients[0])
        inner = _grown(wide, 3 * CUBIC).mul_(gradient)  # times x times the slope inside the sigmoid
        torch.ops.aten.sigmoid_backward.grad_input(inner, gate, grad_input=inner)
        return inner.addcmul_(gate, gradient).to(x.dtype)


def _grown(x: Tensor, cubic: float) -> Tensor:
    """SLOPE (x + cubic x^3), in two passes."""
    return torch.addcmul(x.new_full((), SLOPE), x, x, value=SLOPE * cubic).mul_(x)


class _ReluSquared(torch.autograd.Function):
    """Two passes back instead of four."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = F.relu(x)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        slope: Tensor = gradients[0] * positive
        return slope.mul_(2)
