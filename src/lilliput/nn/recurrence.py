"""The gated linear recurrence h_t = f_t h_{t-1} + x_t, where its documents begin, and what decoding remembers of it."""

import importlib.util
import math
from functools import cache
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.nn.state import State

# Shapes: B batch, T time, D width, N chunks

Mode = Literal["chunk", "fused_recurrent"]
"""In two levels of chunks, or token by token: on CUDA in flash-linear-attention's kernel, where it is installed."""
TAPS = 4
"""Inputs that a short convolution sees, the token's own included."""


class RecurrentState(State):
    """Of each layer one vector (B, D) in fp32 and the short convolution's last inputs, of each row its document."""

    def __init__(self, layers: int, batch: int, device: torch.device | str = "cpu") -> None:
        self.documents = torch.zeros(batch, dtype=torch.int64, device=device)  # (B,)
        self.hidden: list[Tensor | None] = [None] * layers  # (B, D); None: nothing yet
        self.tails: list[Tensor | None] = [None] * layers  # (B, TAPS - 1, D), zero where of another document

    def select(self, rows: Tensor) -> "RecurrentState":
        """A state of its own for the rows (N,) given by index; a row may be taken more than once."""
        chosen = RecurrentState(0, 0)
        chosen.documents = self.documents[rows]
        chosen.hidden = [None if held is None else held[rows] for held in self.hidden]
        chosen.tails = [None if held is None else held[rows] for held in self.tails]
        return chosen

    def replace(self, rows: Tensor, chosen: "RecurrentState") -> None:
        """Put back rows (N,) that `select` took and that have gone on alone; rows not put back stay as they were."""
        self.documents[rows] = chosen.documents
        for own, theirs in ((self.hidden, chosen.hidden), (self.tails, chosen.tails)):
            for layer, values in enumerate(theirs):
                if values is None:
                    continue
                held = own[layer]
                if held is None:
                    held = own[layer] = values.new_zeros(len(self.documents), *values.shape[1:])
                held[rows] = values


class Course:
    """Where documents (B, T) begin in the tokens of one forward pass, and the state that the tokens go on from.

    A token whose document is not that of the token before starts from an empty state; padding (-1) is a document of
    its own. Without `documents` a row is one document, or goes on with the last one of `state`.
    """

    def __init__(self, documents: Tensor | None = None, state: RecurrentState | None = None) -> None:
        self.documents, self.state = documents, state
        self.begins: Tensor | None = None
        """(B, T), true where the state is emptied; None where no row begins anew."""
        self.forget: dict[int, Tensor] = {}
        """Mean forget gate by layer, over tokens that are no padding, as `note` saw them."""
        self._segments: Tensor | None = None
        if documents is not None:
            last = state.documents[:, None] if state is not None else documents[:, :1]
            before = torch.cat([last.to(documents.dtype), documents[:, :-1]], dim=1)
            self.begins = documents != before
            # (B, TAPS - 1 + T): the state's tail belongs to segment 0
            self._segments = F.pad(self.begins.cumsum(dim=1), (TAPS - 1, 0))
            if state is not None:
                state.documents = documents[:, -1].long()

    def scan(self, layer: int, forget: Tensor, x: Tensor, mode: Mode = "chunk") -> Tensor:
        """States h (B, T, D) of a layer for gates and inputs (B, T, D) in fp32 or wider."""
        if self.begins is not None:
            forget = forget.masked_fill(self.begins[:, :, None], 0.0)
        start = None if self.state is None else self.state.hidden[layer]
        h, last = scan(forget, x, start, mode)
        if self.state is not None:
            self.state.hidden[layer] = last.detach()
        return h

    def window(self, layer: int, x: Tensor) -> list[Tensor]:
        """x (B, T, D) as it was TAPS - 1, ..., 1, 0 tokens before; zero where that was another document."""
        tail = None if self.state is None else self.state.tails[layer]
        held = F.pad(x, (0, 0, TAPS - 1, 0)) if tail is None else torch.cat([tail.to(x.dtype), x], dim=1)
        time, segments = x.shape[1], self._segments
        if self.state is not None:
            kept = held[:, time:]
            if segments is not None:
                kept = kept * (segments[:, time:] == segments[:, -1:])[:, :, None]
            self.state.tails[layer] = kept.detach()
        shifted = [held[:, tap : tap + time] for tap in range(TAPS)]
        if segments is not None:
            own = segments[:, TAPS - 1 :]
            shifted = [
                part * (segments[:, tap : tap + time] == own)[:, :, None] for tap, part in enumerate(shifted[:-1])
            ] + shifted[-1:]
        return shifted

    def note(self, layer: int, forget: Tensor) -> None:
        """Keep the mean of a layer's forget gates (B, T, D) for the log."""
        means = forget.detach().mean(dim=2)  # (B, T)
        if self.documents is None:
            self.forget[layer] = means.mean()
        else:
            counts = self.documents >= 0
            self.forget[layer] = (means * counts).sum() / counts.sum().clamp(min=1)


class ShortConvolution(nn.Module):
    """A causal convolution of each channel with its last `TAPS` inputs, then SiLU."""

    def __init__(self, dim: int, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.weight = nn.Parameter(torch.empty(dim, 1, TAPS))  # as torch's depthwise Conv1d
        nn.init.uniform_(self.weight, -(TAPS**-0.5), TAPS**-0.5)

    def forward(self, x: Tensor, course: Course) -> Tensor:
        taps = self.weight[:, 0].unbind(dim=1)
        parts = course.window(self.layer, x)
        return F.silu(sum((part * tap for part, tap in zip(parts[1:], taps[1:], strict=True)), parts[0] * taps[0]))


def scan(forget: Tensor, x: Tensor, start: Tensor | None = None, mode: Mode = "chunk") -> tuple[Tensor, Tensor]:
    """All states h (B, T, D) of h_t = f_t h_{t-1} + x_t from `start` (B, D) or zero, and the last one (B, D).

    Gates and inputs in fp32 or wider. A gate of 0 empties the state: no division, no logarithm.
    """
    if start is None:
        start = x.new_zeros(x.shape[0], x.shape[2])
    if x.shape[1] == 1:
        last = torch.addcmul(x[:, 0], forget[:, 0], start)
        return last[:, None], last
    if mode == "fused_recurrent" and x.is_cuda and (fused := _fused()) is not None:
        # it takes logarithms; a gate of 1e-30 leaves nothing of a state either
        h, last = fused(x, forget.clamp(min=1e-30).log(), initial_state=start, output_final_state=True)
        return h.to(x.dtype), last.to(x.dtype)
    # two passes of C steps and a walk over N chunks: fewest steps at C = sqrt(T / 2)
    chunk = math.isqrt(x.shape[1] // 2) if mode == "chunk" else 0
    h = cast(Tensor, _recurrence(forget, x, start, chunk))
    return h, h[:, -1]


@cache
def _fused() -> Any:
    """flash-linear-attention's kernel, where it is installed."""
    if importlib.util.find_spec("fla") is None:
        return None
    return importlib.import_module("fla.ops.hgrn").fused_recurrent_hgrn


@torch.library.custom_op("lilliput::recurrence", mutates_args=())
def _recurrence(forget: Tensor, x: Tensor, start: Tensor, chunk: int) -> Tensor:
    h = torch.empty_like(x, memory_format=torch.contiguous_format)
    _fill(forget, x, start, h, chunk)
    return h


@_recurrence.register_fake
def _(forget: Tensor, x: Tensor, start: Tensor, chunk: int) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@torch.library.custom_op("lilliput::recurrence_backward", mutates_args=())
def _backward(gradient: Tensor, forget: Tensor, h: Tensor, start: Tensor, chunk: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same scan from the end: d_t = g_t + f_{t+1} d_{t+1}; dx = d, df_t = d_t h_{t-1}, dstart = f_1 d_1."""
    d = torch.empty_like(h)
    d[:, -1] = gradient[:, -1]
    if h.shape[1] > 1:
        _fill(forget[:, 1:], gradient[:, :-1], d[:, -1], d[:, :-1], chunk, backwards=True)
    df = torch.empty_like(h)
    torch.mul(d[:, 1:], h[:, :-1], out=df[:, 1:])
    torch.mul(d[:, 0], start, out=df[:, 0])
    return df, d, forget[:, 0] * d[:, 0]


@_backward.register_fake
def _(gradient: Tensor, forget: Tensor, h: Tensor, start: Tensor, chunk: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(h), torch.empty_like(h), torch.empty_like(start)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int], output: Tensor) -> None:
    forget, _, start, ctx.chunk = inputs
    ctx.save_for_backward(forget, output, start)


def _derive(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    forget, h, start = ctx.saved_tensors
    df, dx, dstart = _backward(gradient, forget, h, start, ctx.chunk)
    return df, dx, dstart, None


_recurrence.register_autograd(_derive, setup_context=_keep)


def _fill(forget: Tensor, x: Tensor, start: Tensor, h: Tensor, chunk: int, *, backwards: bool = False) -> None:
    """Write the states into h (B, T, D), in steps of whole vectors; `chunk` 0 takes token by token.

    In two levels: all N chunks at once find what they make of an empty start, a walk over the chunks finds their true
    starts, and a second pass of all chunks at once writes the states. No copy of gates or inputs.
    """
    whole = h.shape[1] // chunk * chunk if chunk else 0
    edge = h.shape[1] - whole if backwards else whole
    first, rest = (slice(edge, None), slice(0, edge)) if backwards else (slice(0, edge), slice(edge, None))
    carry = start
    if whole:
        f, v, out = (part[:, first].unflatten(1, (-1, chunk)) for part in (forget, x, h))  # type: ignore[no-untyped-call]
        carry = _fill_chunks(f, v, out, carry, backwards)
    f, v, out = forget[:, rest], x[:, rest], h[:, rest]
    for t in _order(f.shape[1], backwards):
        carry = torch.addcmul(v[:, t], f[:, t], carry, out=out[:, t])


def _fill_chunks(forget: Tensor, x: Tensor, h: Tensor, start: Tensor, backwards: bool) -> Tensor:
    """The states of whole chunks (B, N, C, D), and the last one (B, D)."""
    steps, chunks = _order(h.shape[2], backwards), _order(h.shape[1], backwards)
    local, kept = x[:, :, steps[0]].clone(), forget[:, :, steps[0]].clone()  # (B, N, D)
    for c in steps[1:]:
        local = torch.addcmul(x[:, :, c], forget[:, :, c], local, out=local)
        kept *= forget[:, :, c]
    held, carry = torch.empty_like(local), start
    for n in chunks:
        held[:, n] = carry
        carry = torch.addcmul(local[:, n], kept[:, n], carry)
    for c in steps:
        held = torch.addcmul(x[:, :, c], forget[:, :, c], held, out=h[:, :, c])
    return h[:, chunks[-1], steps[-1]]


def _order(count: int, backwards: bool) -> range:
    return range(count - 1, -1, -1) if backwards else range(count)
