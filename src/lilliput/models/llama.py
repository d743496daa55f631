"""Llama: RMS norms, rotary positions, grouped-query attention and SwiGLU (arXiv 2302.13971, 2307.09288)."""

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from lilliput.config.settings import Fatal, settings
from lilliput.models.contract import LanguageModel, Output, Preset, refuse_length
from lilliput.nn.attention import Sight, attend, refuse_heads
from lilliput.nn.feed_forward import SwiGLU
from lilliput.nn.rope import Rotation, rotate, rotation
from lilliput.nn.state import KVCache, State

# Shapes: B batch, T time, D dim, H query heads, K key/value heads, E head dim, V vocab


@settings
class LlamaConfig:
    family: Fatal[Literal["llama"]] = "llama"
    dim: Fatal[int] = Field(gt=0)
    """Width of the residual stream."""
    num_layers: Fatal[int] = Field(gt=0)
    """Blocks, each attention and a feed-forward."""
    num_heads: Fatal[int] = Field(gt=0)
    """Query heads, each dim / num_heads wide; that width has to be even."""
    num_kv_heads: Fatal[int | None] = Field(default=None, gt=0)
    """Key and value heads, each shared by num_heads / num_kv_heads query heads; null = num_heads."""
    ffn_dim: Fatal[int] = Field(gt=0)
    """Inner width of the SwiGLU feed-forward."""
    max_positions: Fatal[int | None] = Field(default=None, gt=0)
    """Tokens a sequence may have; null = the training context length."""
    norm_eps: Fatal[float] = Field(default=1e-6, gt=0)
    """Added to the mean square in norms."""
    rope_theta: Fatal[float] = Field(default=10_000.0, gt=1)
    """Base of the rotary frequencies."""
    attention_bias: Fatal[bool] = False
    """Biases in the four projections of attention."""
    window: Fatal[int | None] = Field(default=None, gt=0)
    """Tokens each token sees, itself included; null = all before it."""
    tied: Fatal[bool] = False
    """The head uses the embedding's weights."""

    def __post_init__(self) -> None:
        refuse_heads(self.dim, self.num_heads, self.num_kv_heads, rotary=True)

    def build(self, vocab_size: int) -> "Llama":
        return Llama(self, vocab_size)


class Attention(nn.Module):
    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim, self.window = layer, config.dim // config.num_heads, config.window
        held = (config.num_kv_heads or config.num_heads) * self.head_dim
        self.query = nn.Linear(config.dim, config.dim, bias=config.attention_bias)
        self.key = nn.Linear(config.dim, held, bias=config.attention_bias)
        self.value = nn.Linear(config.dim, held, bias=config.attention_bias)
        self.out = nn.Linear(config.dim, config.dim, bias=config.attention_bias)

    def forward(self, x: Tensor, sight: Sight, turn: Rotation) -> Tensor:
        q, k, v = (p(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for p in (self.query, self.key, self.value))
        y = attend(rotate(q, turn), rotate(k, turn), v, sight, self.layer, window=self.window)
        return self.out(y)  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.dim, config.norm_eps)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = nn.RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = SwiGLU(config.dim, config.ffn_dim)

    def forward(self, x: Tensor, sight: Sight, turn: Rotation) -> Tensor:
        x = x + self.attention(self.attention_norm(x), sight, turn)
        return x + self.feed_forward(self.feed_forward_norm(x))  # type: ignore[no-any-return]


class Llama(LanguageModel):
    config: LlamaConfig
    head: nn.Linear

    def __init__(self, config: LlamaConfig, vocab_size: int) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.norm = nn.RMSNorm(config.dim, config.norm_eps)
        self.head = nn.Linear(config.dim, vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.embed.weight
        self._start()

    def _start(self) -> None:
        """Deviation 0.02, for residual projections over sqrt(2 x layers); biases at zero."""
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * self.config.num_layers) if residual else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, *, documents: Tensor | None = None, state: State | None = None) -> Output:
        refuse_length(self.config, tokens.shape[1])
        sight = Sight(tokens, documents, state if isinstance(state, KVCache) else None)
        x = self.embed(tokens)  # (B, T, D)
        turn = rotation(sight.positions, self.config.dim // self.config.num_heads, self.config.rope_theta, x.dtype)
        for block in self.blocks:
            x = block(x, sight, turn)
        return Output(self.norm(x), state=state)

    def new_state(self, batch: int, length: int) -> KVCache:
        refuse_length(self.config, length)
        return KVCache(self.config.num_layers, batch, length, self.embed.weight.device)

    def flops_per_token(self, context: int) -> int:
        config = self.config
        shared = (config.num_kv_heads or config.num_heads) / config.num_heads
        matrices = int(2 * config.dim**2 * (1 + shared)) + 3 * config.dim * config.ffn_dim
        seen = 2 * context * config.dim  # queries times keys, weights times values
        return 2 * (config.num_layers * (matrices + seen) + config.dim * self.vocab_size)


# our names -> transformers' LlamaForCausalLM
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


PRESETS = {
    "octo/base": Preset(
        LlamaConfig(dim=768, num_layers=12, num_heads=12, num_kv_heads=3, ffn_dim=3072, max_positions=4096),
        50_257,
        "Octo's base model",
    ),
}
