"""GPT-OSS: experts with clamped SwiGLU, sinks in attention, windows in every other layer (arXiv 2508.10925)."""

from collections.abc import Mapping
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lilliput.config.settings import Fatal, Semantic, settings
from lilliput.models import decoder
from lilliput.models.contract import Preset
from lilliput.models.decoder import Block, Decoder
from lilliput.nn.attention import refuse_heads
from lilliput.nn.experts import Mixture, Routing, Told, clamped_swiglu, refuse_experts, told
from lilliput.nn.grouped_query import GroupedQueryAttention
from lilliput.nn.norms import WideRMSNorm
from lilliput.nn.rope import Rotation, Yarn, rotation

# Shapes: D dim, E head dim, F ffn dim, X experts


@settings
class GPTOSSConfig:
    family: Fatal[Literal["gpt_oss"]] = "gpt_oss"
    dim: Fatal[int] = Field(gt=0)
    """Width of the residual stream."""
    num_layers: Fatal[int] = Field(gt=0)
    """Blocks, each attention and a mixture of experts; the first, third and so on attend within the window."""
    num_heads: Fatal[int] = Field(gt=0)
    """Query heads."""
    num_kv_heads: Fatal[int | None] = Field(default=None, gt=0)
    """Key and value heads, each shared by num_heads / num_kv_heads query heads; null = num_heads."""
    head_dim: Fatal[int | None] = Field(default=None, gt=0, multiple_of=2)
    """Width of a head; null = dim / num_heads."""
    ffn_dim: Fatal[int] = Field(gt=0)
    """Inner width of each expert."""
    num_experts: Fatal[int] = Field(gt=0)
    """Feed-forwards of each layer."""
    num_active_experts: Fatal[int] = Field(default=2, gt=0)
    """Experts that a token passes through; 1 makes the router's gate a share of all experts, which GPT-OSS has not."""
    swiglu_limit: Fatal[float] = Field(default=7.0, gt=0)
    """Largest gate, and largest size of a linear value, in an expert."""
    swiglu_alpha: Fatal[float] = Field(default=1.702, gt=0)
    """Steepness of the sigmoid in an expert's gate."""
    window: Fatal[int | None] = Field(default=128, gt=0)
    """Tokens each token sees in every other layer, itself included; null = all before it, in all layers."""
    max_positions: Fatal[int | None] = Field(default=None, gt=0)
    """Tokens a sequence may have; null = the training context length."""
    norm_eps: Fatal[float] = Field(default=1e-5, gt=0)
    """Added to the mean square in norms."""
    rope_theta: Fatal[float] = Field(default=150_000.0, gt=1)
    """Base of the rotary frequencies."""
    yarn_factor: Fatal[float] = Field(default=1.0, ge=1)
    """How many times longer than yarn_original_length texts are to be (YaRN); 1 = plain rotary positions."""
    yarn_original_length: Fatal[int] = Field(default=4096, gt=0)
    """Tokens of the texts that were learned with plain rotary positions; read with a yarn_factor above 1."""
    tied: Fatal[bool] = False
    """The head uses the embedding's weights."""
    balance_weight: Semantic[float] = Field(default=0.01, ge=0)
    """Weight of the loss that spreads tokens evenly over a layer's experts."""
    z_weight: Semantic[float] = Field(default=1e-3, ge=0)
    """Weight of the loss that keeps the router's logits small."""

    def __post_init__(self) -> None:
        if self.head_dim is None:
            refuse_heads(self.dim, self.num_heads, self.num_kv_heads, rotary=True)
        else:
            refuse_heads(self.num_heads * self.head_dim, self.num_heads, self.num_kv_heads)
        refuse_experts(self.num_experts, self.num_active_experts)

    def build(self, vocab_size: int) -> "GPTOSS":
        return GPTOSS(self, vocab_size)


class GPTOSS(Decoder):
    config: GPTOSSConfig

    def __init__(self, config: GPTOSSConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size, (_block(config, layer) for layer in range(config.num_layers)), WideRMSNorm)
        self.yarn = Yarn(config.yarn_factor, config.yarn_original_length) if config.yarn_factor > 1 else None

    def _start(self) -> None:
        """Deviation 0.02 for all matrices, sinks and the router's biases; other biases at zero."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1 or name.endswith(("sinks", "router.bias")):
                nn.init.normal_(parameter, std=0.02)
        for name, parameter in self.named_parameters():
            if name.endswith("bias") and not name.endswith("router.bias"):
                nn.init.zeros_(parameter)

    def turn(self, positions: Tensor, dtype: torch.dtype) -> Rotation:
        head_dim = self.config.head_dim or self.config.dim // self.config.num_heads
        return rotation(positions, head_dim, self.config.rope_theta, dtype, self.yarn)

    def told(self, routings: Mapping[int, Routing], documents: Tensor | None) -> Told:
        return told(routings, documents, balance=self.config.balance_weight, router_z=self.config.z_weight)


def _block(config: GPTOSSConfig, layer: int) -> Block:
    attention = GroupedQueryAttention(
        config.dim,
        config.num_heads,
        config.num_kv_heads,
        layer,
        head_dim=config.head_dim,
        window=config.window if layer % 2 == 0 else None,
        bias=True,
        sinks=True,
    )
    activation = partial(clamped_swiglu, limit=config.swiglu_limit, alpha=config.swiglu_alpha)
    mixture = Mixture(config.dim, config.ffn_dim, config.num_experts, config.num_active_experts, activation, bias=True)
    return Block(attention, mixture, config.dim, config.norm_eps, WideRMSNorm)


# our names within a block -> transformers' GptOssForCausalLM, whose experts are stored [X, in, out]
HUB_PARTS = {
    "attention.sinks": "self_attn.sinks",
    "feed_forward.router.weight": "mlp.router.weight",
    "feed_forward.router.bias": "mlp.router.bias",
    "feed_forward.gate_up.weight": "mlp.experts.gate_up_proj",
    "feed_forward.gate_up.bias": "mlp.experts.gate_up_proj_bias",
    "feed_forward.down.weight": "mlp.experts.down_proj",
    "feed_forward.down.bias": "mlp.experts.down_proj_bias",
}


def to_hub(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors by name under transformers' names."""
    own = {name: theirs for name in found if (theirs := _hub_name(name, HUB_PARTS, "blocks.", "model.layers."))}
    return decoder.to_hub({name: tensor for name, tensor in found.items() if name not in own}) | {
        theirs: _turned(found[name]) for name, theirs in own.items()
    }


def from_hub(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `to_hub`."""
    parts = {theirs: ours for ours, theirs in HUB_PARTS.items()}
    own = {name: ours for name in found if (ours := _hub_name(name, parts, "model.layers.", "blocks."))}
    return decoder.from_hub({name: tensor for name, tensor in found.items() if name not in own}) | {
        ours: _turned(found[name]) for name, ours in own.items()
    }


def _hub_name(name: str, parts: Mapping[str, str], before: str, after: str) -> str | None:
    layer, _, part = name.removeprefix(before).partition(".")
    return f"{after}{layer}.{parts[part]}" if name.startswith(before) and part in parts else None


def _turned(tensor: Tensor) -> Tensor:
    """Stacked matrices (X, in, out) from (X, out, in), or back."""
    return tensor.mT if tensor.ndim == 3 else tensor


def _preset(
    dim: int, num_layers: int, num_heads: int, num_kv_heads: int, ffn_dim: int, num_experts: int, note: str
) -> Preset:
    shape = GPTOSSConfig(
        dim=dim,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        ffn_dim=ffn_dim,
        num_experts=num_experts,
        tied=True,
    )
    return Preset(shape, 50_257, note)


PRESETS = {
    "bookcorpus/micro": _preset(384, 8, 6, 2, 1472, 4, "50M active"),
    "bookcorpus/light": _preset(768, 12, 12, 4, 1664, 6, "150M active"),
    "bookcorpus/standard": _preset(896, 16, 14, 2, 2048, 8, "250M active"),
}
