"""The frame of decoders with RMS norms and rotary positions: embedding, blocks, last norm, head, hub names."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lilliput.models.contract import LanguageModel, Output, refuse_length
from lilliput.nn.attention import Sight
from lilliput.nn.experts import Mixture, Routing, Told
from lilliput.nn.feed_forward import SwiGLU
from lilliput.nn.grouped_query import GroupedQueryAttention
from lilliput.nn.rope import Rotation, rotation
from lilliput.nn.state import KVCache, State

# Shapes: B batch, T time, D dim, V vocab

ONE_ACTIVE = (
    "model.num_active_experts=1: a softmax over one expert is always 1 and would teach the router nothing, so each"
    " expert's output is weighted by its share of a softmax over all of them; two or more need no such weight"
)

Norm = Callable[[int, float], nn.Module]
"""Makes a norm of a width, with what is added to the mean square."""


class Block(nn.Module):
    """Attention, then a feed-forward, each on a normed copy of the stream that it adds to.

    Where the feed-forward is a mixture, it is also told where the tokens were sent.
    """

    def __init__(
        self,
        attention: GroupedQueryAttention,
        feed_forward: SwiGLU | Mixture,
        dim: int,
        eps: float,
        norm: Norm = nn.RMSNorm,
    ) -> None:
        super().__init__()
        self.attention_norm = norm(dim, eps)
        self.attention = attention
        self.feed_forward_norm = norm(dim, eps)
        self.feed_forward = feed_forward

    def forward(self, x: Tensor, sight: Sight, turn: Rotation) -> Tensor | tuple[Tensor, Routing]:
        x = x + self.attention(self.attention_norm(x), sight, turn)
        y = self.feed_forward(self.feed_forward_norm(x))
        return (x + y[0], y[1]) if isinstance(y, tuple) else x + y

    def flops_per_token(self, context: int) -> int:
        return self.attention.flops_per_token(context) + self.feed_forward.flops_per_token()


class Decoder(LanguageModel):
    """Its settings have `dim`, `num_layers`, `num_heads`, `norm_eps`, `rope_theta`, `max_positions` and `tied`."""

    head: nn.Linear

    def __init__(self, config: Any, vocab_size: int, blocks: Iterable[nn.Module], norm: Norm = nn.RMSNorm) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm(config.dim, config.norm_eps)
        self.head = nn.Linear(config.dim, vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.embed.weight
        self._start()

    def _start(self) -> None:
        """Deviation 0.02, for residual projections over sqrt(2 x layers); biases at zero."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim > 1:
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * self.config.num_layers) if residual else 0.02)

    def forward(self, tokens: Tensor, *, documents: Tensor | None = None, state: State | None = None) -> Output:
        refuse_length(self.config, tokens.shape[1])
        sight = Sight(tokens, documents, state if isinstance(state, KVCache) else None)
        x = self.embed(tokens)  # (B, T, D)
        turn = sight.turn(partial(self.turn, dtype=x.dtype))
        routings: dict[int, Routing] = {}
        for layer, block in enumerate(self.blocks):
            x = block(x, sight, turn)
            if isinstance(x, tuple):
                x, routings[layer] = x
        aux, monitors = self.told(routings, documents) if state is None else ({}, {})
        return Output(self.norm(x), aux, monitors, state)

    def told(self, routings: Mapping[int, Routing], documents: Tensor | None) -> Told:
        """Auxiliary losses and monitors of a family with experts."""
        return {}, {}

    def turn(self, positions: Tensor, dtype: torch.dtype) -> Rotation:
        """The rotation of tokens at their positions."""
        return rotation(positions, self.config.dim // self.config.num_heads, self.config.rope_theta, dtype)

    def new_state(self, batch: int, length: int) -> KVCache:
        refuse_length(self.config, length)
        windows = [block.attention.window for block in self.blocks if isinstance(block, Block)]
        return KVCache(windows, batch, length, self.embed.weight.device)

    def flops_per_token(self, context: int) -> int:
        blocks = sum(block.flops_per_token(context) for block in self.blocks if isinstance(block, Block))
        return blocks + 2 * self.head.weight.numel()

    @property
    def mixtures(self) -> list[Mixture]:
        return [module for module in self.modules() if isinstance(module, Mixture)]

    @property
    def has_experts(self) -> bool:
        return bool(self.mixtures)

    def remarks(self) -> Sequence[str]:
        alone = any(mixture.active == 1 < mixture.num_experts for mixture in self.mixtures)
        return (ONE_ACTIVE,) if alone else ()

    def idle_parameters(self) -> int:
        return sum(mixture.idle_parameters() for mixture in self.mixtures)


# our names -> those that transformers' Llama and its kin share
HUB_NAMES = {
    "embed.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
HUB_PARTS = {
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.out": "self_attn.o_proj",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}


def to_hub(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors by name under transformers' names."""
    return {_renamed(name, "blocks.", "model.layers.", HUB_NAMES | HUB_PARTS): tensor for name, tensor in found.items()}


def from_hub(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `to_hub`."""
    names = {theirs: ours for ours, theirs in (HUB_NAMES | HUB_PARTS).items()}
    return {_renamed(name, "model.layers.", "blocks.", names): tensor for name, tensor in found.items()}


def _renamed(name: str, before: str, after: str, names: Mapping[str, str]) -> str:
    if not name.startswith(before):
        return names[name]
    layer, part = name.removeprefix(before).split(".", maxsplit=1)
    part, kind = part.rsplit(".", maxsplit=1)
    return f"{after}{layer}.{names[part]}.{kind}"
