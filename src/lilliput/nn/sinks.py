"""Attention with a sink per head: a learned logit that takes weight from the softmax and has no value (GPT-OSS)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lilliput.nn.kernels import is_eager_cpu

# Shapes: B batch, T time, S slots seen, H query heads, K key/value heads, E head dim


def sunk_attention(q: Tensor, k: Tensor, v: Tensor, sinks: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    """torch's fused attention of q (B, H, T, E) over k and v (B, K, S, E) with sinks (H,): (B, H, T, E).

    Without a mask (B or 1, 1, T, S; true = visible) it is causal, or T is 1 and sees all.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if is_eager_cpu(q):
        bias = None
        if mask is not None:
            bias = torch.zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill_(~mask, float("-inf"))
        y: Tensor = _Sunk.apply(q, k, v, sinks, bias, scale)  # type: ignore[no-untyped-call]
        return y
    return with_a_dummy_key(q, k, v, sinks, mask, scale)


class _Sunk(torch.autograd.Function):
    """The plain kernel, scaled afterwards by the share of weight that the sink leaves.

    A flash kernel's backward pass rebuilds its weights from the logarithm of their sum. Given the sum with the sink,
    and the output that belongs to it, it gives the gradients of queries, keys and values as they are with the sink.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, sinks: Tensor, bias: Tensor | None, scale: float) -> Tensor:
        causal = bias is None and q.shape[-2] > 1
        attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        y, summed = attention(q, k, v, 0.0, causal, attn_mask=bias, scale=scale)  # (B, H, T, E), (B, H, T)
        whole = torch.logaddexp(summed, sinks.to(summed.dtype)[:, None])
        y *= (summed - whole).exp()[..., None].to(y.dtype)
        ctx.save_for_backward(q, k, v, sinks, bias, y, whole)
        ctx.causal, ctx.scale = causal, scale
        return y  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, sinks, bias, y, whole = ctx.saved_tensors
        gradient = gradients[0] if gradients[0].stride(-1) == 1 else gradients[0].contiguous()
        backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        turned = backward(gradient, q, k, v, y, whole, 0.0, ctx.causal, attn_mask=bias, scale=ctx.scale)
        share = (sinks.to(whole.dtype)[:, None] - whole).exp()  # what each query gives the sink
        along = torch.linalg.vecdot(gradient.to(whole.dtype), y.to(whole.dtype))
        return *turned, -(share * along).sum(dim=(0, 2)).to(sinks.dtype), None, None


def with_a_dummy_key(q: Tensor, k: Tensor, v: Tensor, sinks: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """The same by operations that any device and compiler has: one more key, of value zero, whose logit is the sink.

    Heads grow by 8 dims, in which queries are 1 and only the dummy key is not 0. Without a mask a dummy query comes
    first, so that the kernel may be told that all is causal.
    """
    causal = mask is None and q.shape[-2] > 1
    precise = torch.promote_types(q.dtype, torch.float32)
    logits = (sinks.to(precise) / scale)[None, :, None, None].expand(len(q), -1, 1, 1)
    coarse = logits.to(q.dtype)  # in two parts, which keep a sink's precision where keys are bfloat16
    parts = [coarse, (logits - coarse).to(q.dtype)]
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    dummy = torch.cat([q.new_zeros(*logits.shape[:3], q.shape[-1]), *parts, q.new_zeros(*logits.shape[:3], 6)], dim=-1)
    keys = torch.cat([dummy, F.pad(k, (0, 8))], dim=2)
    queries = F.pad(torch.cat([q, q.new_ones(*q.shape[:3], 2)], dim=-1), (0, 6, int(causal), 0))
    if mask is not None:
        mask = F.pad(mask, (1, 0), value=True)
    values = F.pad(v, (0, 8, 1, 0))
    y = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=causal, scale=scale)
    return y[:, :, int(causal) :, : q.shape[-1]]
