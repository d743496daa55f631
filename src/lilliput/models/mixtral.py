"""Mixtral: Llama's decoder with experts for feed-forwards (arXiv 2401.04088), here after some dense layers."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from lilliput.config.settings import Fatal, Semantic, settings
from lilliput.models import decoder
from lilliput.models.contract import Preset
from lilliput.models.decoder import Block, Decoder
from lilliput.nn.attention import refuse_heads
from lilliput.nn.experts import Mixture, Routing, Told, refuse_experts, swiglu, told
from lilliput.nn.feed_forward import SwiGLU
from lilliput.nn.grouped_query import GroupedQueryAttention


@settings
class MixtralConfig:
    family: Fatal[Literal["mixtral"]] = "mixtral"
    dim: Fatal[int] = Field(gt=0)
    """Width of the residual stream."""
    num_layers: Fatal[int] = Field(gt=0)
    """Blocks, each attention and a feed-forward."""
    dense_layers: Fatal[int | None] = Field(default=None, ge=0)
    """First layers whose feed-forward is one SwiGLU instead of experts; null = num_layers // 4."""
    num_heads: Fatal[int] = Field(gt=0)
    """Query heads, each dim / num_heads wide; that width has to be even."""
    num_kv_heads: Fatal[int | None] = Field(default=None, gt=0)
    """Key and value heads, each shared by num_heads / num_kv_heads query heads; null = num_heads."""
    num_experts: Fatal[int] = Field(gt=0)
    """Experts of a layer."""
    num_active_experts: Fatal[int] = Field(default=2, gt=0)
    """Experts that a token is sent to."""
    ffn_dim: Fatal[int] = Field(gt=0)
    """Inner width of each expert."""
    dense_ffn_dim: Fatal[int | None] = Field(default=None, gt=0)
    """Inner width of the dense layers' feed-forward; null = ffn_dim."""
    max_positions: Fatal[int | None] = Field(default=None, gt=0)
    """Tokens a sequence may have; null = the training context length."""
    norm_eps: Fatal[float] = Field(default=1e-6, gt=0)
    """Added to the mean square in norms."""
    rope_theta: Fatal[float] = Field(default=10_000.0, gt=1)
    """Base of the rotary frequencies."""
    window: Fatal[int | None] = Field(default=None, gt=0)
    """Tokens each token sees, itself included; null = all before it."""
    tied: Fatal[bool] = True
    """The head uses the embedding's weights."""
    balance_weight: Semantic[float] = Field(default=0.01, ge=0)
    """Weight of the loss that keeps a layer's experts equally busy, a mean over the layers with experts."""
    z_weight: Semantic[float] = Field(default=0.0, ge=0)
    """Weight of the loss that keeps the router's logits small."""

    def __post_init__(self) -> None:
        refuse_heads(self.dim, self.num_heads, self.num_kv_heads, rotary=True)
        refuse_experts(self.num_experts, self.num_active_experts)
        if self.dense_layers is not None and self.dense_layers > self.num_layers:
            raise ValueError(
                f"dense_layers ({self.dense_layers}) must be at most num_layers ({self.num_layers});"
                f" it may be 0 to {self.num_layers}"
            )

    @property
    def first_routed(self) -> int:
        """The first layer with experts, from 0."""
        return self.num_layers // 4 if self.dense_layers is None else self.dense_layers

    def build(self, vocab_size: int) -> "Mixtral":
        return Mixtral(self, vocab_size)


class Mixtral(Decoder):
    config: MixtralConfig

    def __init__(self, config: MixtralConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size, (_block(config, layer) for layer in range(config.num_layers)))

    def told(self, routings: Mapping[int, Routing], documents: Tensor | None) -> Told:
        return told(routings, documents, balance=self.config.balance_weight, router_z=self.config.z_weight)


def _block(config: MixtralConfig, layer: int) -> Block:
    attention = GroupedQueryAttention(config.dim, config.num_heads, config.num_kv_heads, layer, window=config.window)
    feed_forward: SwiGLU | Mixture
    if layer < config.first_routed:
        feed_forward = SwiGLU(config.dim, config.dense_ffn_dim or config.ffn_dim)
    else:
        feed_forward = Mixture(config.dim, config.ffn_dim, config.num_experts, config.num_active_experts, swiglu)
    return Block(attention, feed_forward, config.dim, config.norm_eps)


# our names in a layer with experts -> transformers' MixtralForCausalLM and Qwen2MoeForCausalLM, as held in memory
HUB_EXPERTS = {
    "feed_forward.router.weight": "mlp.gate.weight",
    "feed_forward.gate_up.weight": "mlp.experts.gate_up_proj",
    "feed_forward.down.weight": "mlp.experts.down_proj",
}


def to_hub(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors by name under transformers' names; dense layers have Qwen2Moe's, as its Mixtral has none."""
    return _renamed(found, "blocks.", "model.layers.", HUB_EXPERTS, decoder.to_hub)


def from_hub(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `to_hub`."""
    names = {theirs: ours for ours, theirs in HUB_EXPERTS.items()}
    return _renamed(found, "model.layers.", "blocks.", names, decoder.from_hub)


def _renamed(
    found: Mapping[str, Tensor],
    before: str,
    after: str,
    names: Mapping[str, str],
    others: Callable[[Mapping[str, Tensor]], dict[str, Tensor]],
) -> dict[str, Tensor]:
    router = next(iter(names))
    routed = [name.removesuffix(router) for name in found if name.startswith(before) and name.endswith(router)]
    pairs = {
        f"{layer}{one}": f"{layer.replace(before, after)}{other}" for layer in routed for one, other in names.items()
    }
    shared = others({name: tensor for name, tensor in found.items() if name not in pairs})
    return shared | {other: found[one] for one, other in pairs.items()}


def _tardbot(
    dim: int, num_layers: int, heads: tuple[int, int], experts: int, ffn_dim: int, note: str, **rest: Any
) -> Preset:
    num_heads, num_kv_heads = heads
    shape = MixtralConfig(
        dim=dim,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        num_experts=experts,
        ffn_dim=ffn_dim,
        max_positions=4096,
        **rest,
    )
    return Preset(shape, 32_000, f"TardBot, {note}")


PRESETS = {
    "tardbot/mac_nano": _tardbot(448, 12, (7, 1), 5, 2432, "one key head: its 4 do not divide 7", window=768),
    "tardbot/mac_mini": _tardbot(512, 14, (8, 4), 6, 1920, "the guide's default", window=1024),
    "tardbot/mac_base": _tardbot(640, 16, (10, 5), 8, 1472, "experts", window=1280),
    "tardbot/mac_plus": _tardbot(704, 18, (11, 1), 8, 1344, "one key head: its 6 do not divide 11", window=1408),
    # their windows are not stated anywhere: 1,024, as the dense models and the default have
    "tardbot/expert_75m": _tardbot(
        896, 16, (14, 2), 6, 2240, "75M an expert over its layers; 2 key heads, not 7", dense_ffn_dim=768, window=1024
    ),
    "tardbot/expert_100m": _tardbot(
        1024, 16, (16, 2), 5, 2688, "100M an expert over its layers; 2 key heads, not 8", dense_ffn_dim=768, window=1024
    ),
}
