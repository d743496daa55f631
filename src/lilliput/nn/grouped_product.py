"""Rows sorted into groups, and the product of each group with a matrix of its own."""

from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lilliput.nn.kernels import kernels

# Shapes: N tokens, X groups, k groups of a token, R rows = N x k, I in, O out


class Groups:
    """Tokens as rows in the order of their experts, given the k experts of each of N tokens."""

    def __init__(self, chosen: Tensor, num_experts: int) -> None:
        flat, self.active = chosen.flatten(), chosen.shape[1]
        self.order = flat.argsort(stable=True)  # (R,), row -> token x k
        self.inverse = self.order.argsort()  # (R,), token x k -> row
        self.expert = flat.index_select(0, self.order)  # (R,)
        every = torch.arange(num_experts, device=chosen.device)
        self.ends = torch.searchsorted(self.expert, every, right=True, out_int32=True)  # (X,)

    @cached_property
    def sizes(self) -> list[int]:
        """Rows of each expert; an accelerator has to be waited for."""
        return _sizes(self.ends)

    def spread(self, x: Tensor) -> Tensor:
        """Tokens (N, D) as rows (R, D)."""
        # repeated first: gradients of a token's rows are then added in one order, on an accelerator too
        each = x[:, None].expand(-1, self.active, -1).flatten(0, 1)  # (N x k, D)
        return each.index_select(0, self.order)

    def gather(self, rows: Tensor, weights: Tensor) -> Tensor:
        """The weighted sum (N, D) of each token's rows (R, D), always in the same order."""
        each = rows.index_select(0, self.inverse).view(*weights.shape, -1)  # (N, k, D)
        return (each * weights.to(rows.dtype)[..., None]).sum(dim=1)


def product(rows: Tensor, weight: Tensor, bias: Tensor | None, groups: Groups) -> Tensor:
    """Rows (R, I) through their groups' layers, weight (X, O, I) and bias (X, O): (R, O)."""
    if _is_grouped(rows, weight):
        y = F.grouped_mm(rows, weight.mT, offs=groups.ends)
        return y if bias is None else y + bias.index_select(0, groups.expert)
    if torch.compiler.is_compiling():  # the sizes of slices are known only when the graph runs
        return _opaque(rows, weight, bias, groups.ends)  # type: ignore[no-any-return]
    return _Slices.apply(rows, weight, bias, groups.sizes)  # type: ignore[no-any-return, no-untyped-call]


def _is_grouped(rows: Tensor, weight: Tensor) -> bool:
    """Whether `F.grouped_mm` is chosen and possible: strides of 16 bytes, no float64, compiled bfloat16 alone."""
    if rows.dtype == torch.float64 or (torch.compiler.is_compiling() and rows.dtype != torch.bfloat16):
        return False
    return kernels().experts != "sliced" and all(width * rows.element_size() % 16 == 0 for width in weight.shape[1:])


class _Slices(torch.autograd.Function):
    """One product per group, each written to its slice of the result: any precision and width.

    Slicing a stacked weight under autograd would add a gradient of the whole stack for every group.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None, sizes: list[int]) -> Tensor:
        ctx.save_for_backward(rows, weight)
        ctx.sizes, ctx.has_bias = sizes, bias is not None
        return _forward(rows, weight, bias, sizes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        (gradient,), (rows, weight), sizes, needs = gradients, ctx.saved_tensors, ctx.sizes, ctx.needs_input_grad
        return (
            _of_rows(gradient, rows, weight, sizes) if needs[0] else None,
            _of_weight(gradient, rows, weight, sizes) if needs[1] else None,
            _of_bias(gradient, sizes) if ctx.has_bias and needs[2] else None,
            None,
        )


def _forward(rows: Tensor, weight: Tensor, bias: Tensor | None, sizes: list[int]) -> Tensor:
    y = rows.new_empty(len(rows), weight.shape[1])
    for group, (part, into) in enumerate(zip(torch.split(rows, sizes), torch.split(y, sizes), strict=True)):
        if len(part) and bias is None:
            torch.mm(part, weight[group].T, out=into)
        elif len(part) and bias is not None:
            torch.addmm(bias[group], part, weight[group].T, out=into)
    return y


def _of_rows(gradient: Tensor, rows: Tensor, weight: Tensor, sizes: list[int]) -> Tensor:
    result = torch.empty_like(rows)
    for group, (part, into) in enumerate(zip(torch.split(gradient, sizes), torch.split(result, sizes), strict=True)):
        if len(part):
            torch.mm(part, weight[group], out=into)
    return result


def _of_weight(gradient: Tensor, rows: Tensor, weight: Tensor, sizes: list[int]) -> Tensor:
    result = torch.empty_like(weight)
    for part, row, into in zip(torch.split(gradient, sizes), torch.split(rows, sizes), result, strict=True):
        torch.mm(part.T, row, out=into)  # zero where no row is
    return result


def _of_bias(gradient: Tensor, sizes: list[int]) -> Tensor:
    return torch.stack([part.sum(dim=0) for part in torch.split(gradient, sizes)])


@torch.library.custom_op("lilliput::sliced_product", mutates_args=())
def _opaque(rows: Tensor, weight: Tensor, bias: Tensor | None, ends: Tensor) -> Tensor:
    """The same as one operation of a compiled graph."""
    return _forward(rows, weight, bias, _sizes(ends))


@torch.library.custom_op("lilliput::sliced_product_backward", mutates_args=())
def _opaque_backward(gradient: Tensor, rows: Tensor, weight: Tensor, ends: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    sizes = _sizes(ends)
    return (
        _of_rows(gradient, rows, weight, sizes),
        _of_weight(gradient, rows, weight, sizes),
        _of_bias(gradient, sizes),
    )


@_opaque.register_fake
def _opaque_outline(rows: Tensor, weight: Tensor, bias: Tensor | None, ends: Tensor) -> Tensor:
    return rows.new_empty(rows.shape[0], weight.shape[1])


@_opaque_backward.register_fake
def _opaque_backward_outline(
    gradient: Tensor, rows: Tensor, weight: Tensor, ends: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(rows), torch.empty_like(weight), weight.new_empty(weight.shape[:2])


def _opaque_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    rows, weight, bias, ends = inputs
    ctx.save_for_backward(rows, weight, ends)
    ctx.has_bias = bias is not None


def _opaque_gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
    rows, weight, ends = ctx.saved_tensors
    of_rows, of_weight, of_bias = _opaque_backward(gradient, rows, weight, ends)
    return of_rows, of_weight, of_bias if ctx.has_bias else None, None


_opaque.register_autograd(_opaque_gradients, setup_context=_opaque_setup)


def _sizes(ends: Tensor) -> list[int]:
    return ends.diff(prepend=ends.new_zeros(1)).tolist()
