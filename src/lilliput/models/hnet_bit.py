"""HNetBit: an H-Net (arXiv 2507.07955) of ternary recurrent blocks: it learns where to cut bytes into chunks."""

import math
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lilliput.config.settings import Fatal, Semantic, settings
from lilliput.models.contract import LanguageModel, Output, Preset, refuse_length
from lilliput.nn.attention import refuse_heads
from lilliput.nn.bitlinear import BitLinear
from lilliput.nn.chunking import Cuts
from lilliput.nn.hierarchy import Level, LevelState
from lilliput.nn.mlgru import FeedForwardRule, MLGRUBlock, Shape, ffn_width, ternary_monitors
from lilliput.nn.recurrence import Course, Mode, RecurrentState
from lilliput.nn.state import State

# Shapes: B batch, T time, D dim, V vocab


@settings
class HNetBitConfig:
    family: Fatal[Literal["hnet_bit"]] = "hnet_bit"
    dims: Fatal[tuple[int, ...]] = Field(min_length=2)
    """Width of each stage, from tokens inwards; none is narrower than the one before."""
    num_layers: Fatal[tuple[tuple[int, ...], ...]]
    """Blocks of each stage: [encoder, 0, decoder], and for the innermost [main]; H-Net calls it `num_blocks`."""
    num_heads: Fatal[int] = Field(default=1, gt=0)
    """Groups that the states are said to have; they change nothing. Has to divide the width of each stage's state."""
    expand_ratio: Fatal[int] = Field(default=1, gt=0)
    """Width of the recurrent states, in dims."""
    hidden_ratio: Fatal[int] = Field(default=4, gt=0)
    """Inner width of the feed-forwards, in dims; see `ffn_rule`."""
    ffn_rule: Fatal[FeedForwardRule] = "literal"
    """`literal`: hidden_ratio x dim; `swiglu`: two thirds of it, up to the next multiple of 256."""
    ffn_dim: Fatal[int | None] = Field(default=None, gt=0)
    """Inner width of the feed-forwards of all stages as a number; null = by hidden_ratio and ffn_rule."""
    short_conv: Fatal[bool] = False
    """A causal convolution of width 4 before each recurrence."""
    attn_mode: Semantic[Mode] = "chunk"
    """How the recurrences are computed, there being no attention: in two levels, or token by token; equal but for
    rounding."""
    norm_eps: Fatal[float] = Field(default=1e-6, gt=0)
    """Added to the mean square in the norms of blocks and stacks."""
    bitlinear_eps: Fatal[float] = Field(default=1e-6, gt=0)
    """Added to the mean square in the norm of each ternary layer."""
    chunk_size: Semantic[float | tuple[float, ...]] = 2.5
    """Items per chunk that the ratio loss asks for, of every stage or of each."""
    ratio_weight: Semantic[float] = Field(default=0.03, ge=0)
    """Factor of the ratio loss, summed over stages."""
    lr_scales: Semantic[tuple[float, ...]] = ()
    """Factor of the learning rate of each stage; none = 1 for all."""
    max_positions: Fatal[int | None] = Field(default=None, gt=0)
    """Tokens a sequence may have; null = the training context length."""

    def __post_init__(self) -> None:
        for outer, inner in zip(self.dims, self.dims[1:], strict=False):
            if inner < outer:
                wider = tuple(sorted(self.dims))
                raise ValueError(f"dims ({_shown(self.dims)}) may not shrink inwards; it may be {_shown(wider)}")
        for dim in self.dims:
            refuse_heads(self.expand_ratio * dim, self.num_heads)
        self._refuse_layers()
        self._refuse_lists()

    def _refuse_layers(self) -> None:
        stages = len(self.dims)
        wanted = ", ".join(["[1, 0, 1]"] * (stages - 1) + ["[2]"])
        lengths = tuple(map(len, self.num_layers))
        if lengths != (3,) * (stages - 1) + (1,):
            raise ValueError(
                f"num_layers ({_shown(self.num_layers)}) does not fit {stages} dims;"
                f" it may be [encoder, 0, decoder] for each but the last and [main] for that, as in [{wanted}]"
            )
        for stage, layers in enumerate(self.num_layers):
            if len(layers) == 3 and layers[1] != 0:
                raise ValueError(
                    f"num_layers[{stage}] ({_shown(layers)}) has {layers[1]} in the middle, where the next stage is;"
                    f" it may be {_shown((layers[0], 0, layers[2]))}"
                )
            if min(layers) < 0 or min(layers[::2]) < 1:
                raise ValueError(f"num_layers[{stage}] ({_shown(layers)}) needs at least 1 block in each stack")

    def _refuse_lists(self) -> None:
        levels = len(self.dims) - 1
        sizes = self.chunk_size if isinstance(self.chunk_size, tuple) else (self.chunk_size,) * levels
        if len(sizes) != levels or min(sizes) <= 1:
            raise ValueError(
                f"chunk_size ({_shown(self.chunk_size)}) may be one number above 1, or one for each of the {levels}"
                f" stages that are cut"
            )
        if len(self.lr_scales) not in (0, levels + 1) or any(scale <= 0 for scale in self.lr_scales):
            raise ValueError(
                f"lr_scales ({_shown(self.lr_scales)}) may be empty, or one positive number for each of the"
                f" {levels + 1} dims"
            )

    @property
    def dim(self) -> int:
        """Width of the tokens' own stage."""
        return self.dims[0]

    @property
    def chunk_sizes(self) -> tuple[float, ...]:
        """Of each stage but the innermost."""
        return self.chunk_size if isinstance(self.chunk_size, tuple) else (self.chunk_size,) * (len(self.dims) - 1)

    def shape(self, stage: int) -> Shape:
        """Of a stage's blocks."""
        dim = self.dims[stage]
        ffn_dim = self.ffn_dim or ffn_width(dim, self.hidden_ratio, self.ffn_rule)
        return Shape(
            dim=dim,
            state_dim=self.expand_ratio * dim,
            ffn_dim=ffn_dim,
            short_conv=self.short_conv,
            mode=self.attn_mode,
            bitlinear_eps=self.bitlinear_eps,
            norm_eps=self.norm_eps,
        )

    def build(self, vocab_size: int) -> "HNetBit":
        return HNetBit(self, vocab_size)


def _shown(value: Any) -> str:
    """A list as recipes write it."""
    return f"[{', '.join(map(_shown, value))}]" if isinstance(value, tuple) else str(value)


class Stack(nn.Module):
    """Blocks of one width, ended by a norm of its own, so that what leaves a stack has one size everywhere."""

    def __init__(self, shape: Shape, depth: int, eps: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(MLGRUBlock(shape, layer) for layer in range(depth))
        self.norm = nn.RMSNorm(shape.dim, eps)
        self.forget: Tensor | None = None
        """Mean forget gate of the last training pass."""

    def forward(self, x: Tensor, documents: Tensor | None = None, state: RecurrentState | None = None) -> Tensor:
        course = Course(documents, state)
        for block in self.blocks:
            x = block(x, course)
        self.forget = torch.stack(list(course.forget.values())).mean() if course.forget else None
        return self.norm(x)  # type: ignore[no-any-return]

    def new_state(self, batch: int) -> RecurrentState:
        return RecurrentState(len(self.blocks), batch, self.norm.weight.device)


class HNetBit(LanguageModel):
    config: HNetBitConfig
    head: BitLinear

    def __init__(self, config: HNetBitConfig, vocab_size: int) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embed = nn.Embedding(vocab_size, config.dims[0])
        self.level = self._level(0)
        self.head = BitLinear(config.dims[0], vocab_size, config.bitlinear_eps)
        self._start()

    def _level(self, stage: int) -> Level:
        config, dims, depths = self.config, self.config.dims, self.config.num_layers
        encoder, decoder = (Stack(config.shape(stage), depth, config.norm_eps) for depth in depths[stage][::2])
        if stage + 2 == len(dims):
            inner: nn.Module = Stack(config.shape(stage + 1), depths[-1][0], config.norm_eps)
        else:
            inner = self._level(stage + 1)
        return Level(encoder, inner, decoder, dims[stage], dims[stage + 1])

    def _start(self) -> None:
        """H-Net's: deviation 1 for embeddings; what writes to a stream over sqrt(adds from embedding to head).

        The other ternary matrices as blocks draw them; routers are identities, residuals and pads zero.
        """
        nn.init.normal_(self.embed.weight)
        adds = 0
        for stage, stacks in enumerate(self.stages()):
            adds += 2 * sum(self.config.num_layers[stage])
            for stack in stacks:
                for block in stack.blocks:
                    with torch.no_grad():
                        for part in (block.mixer.output, block.feed_forward.down):
                            part.weight.div_(math.sqrt(adds))

    def stages(self) -> list[tuple[Any, ...]]:
        """Encoder and decoder of each stage that is cut, and the innermost's main stack."""
        levels = self.levels()
        return [(level.encoder, level.decoder) for level in levels] + [(levels[-1].inner,)]

    def levels(self) -> list[Level]:
        """From tokens inwards."""
        found = [self.level]
        while isinstance(found[-1].inner, Level):
            found.append(found[-1].inner)
        return found

    @property
    def blocks(self) -> list[nn.Module]:
        """All of them, stage by stage."""
        return [block for stacks in self.stages() for stack in stacks for block in stack.blocks]

    def forward(self, tokens: Tensor, *, documents: Tensor | None = None, state: State | None = None) -> Output:
        refuse_length(self.config, tokens.shape[1])
        held = state if isinstance(state, LevelState) else None
        features, cuts = self.level(self.embed(tokens), documents, held)
        if held is not None:
            return Output(features, state=state)
        ratios = [cut.ratio_loss(size) for cut, size in zip(cuts, self.config.chunk_sizes, strict=True)]
        aux = {"ratio": self.config.ratio_weight * torch.stack(ratios).sum()}
        return Output(features, aux, self._monitors(cuts, ratios))

    def _monitors(self, cuts: list[Cuts], ratios: list[Tensor]) -> dict[str, Tensor]:
        found, rate = {}, torch.ones_like(ratios[0])
        for stage, (cut, ratio) in enumerate(zip(cuts, ratios, strict=True)):
            rate = rate * cut.rate().detach()
            found[f"stage{stage}.chunk_rate"] = cut.rate().detach()
            found[f"stage{stage}.ratio_loss"] = ratio.detach()
            found[f"stage{stage}.tokens_per_chunk"] = 1 / rate
        if self.training:
            for stage, stacks in enumerate(self.stages()):
                means = [stack.forget for stack in stacks if stack.forget is not None]
                found[f"stage{stage}.forget"] = torch.stack(means).mean()
            found |= ternary_monitors(self)
        return found

    def new_state(self, batch: int, length: int) -> LevelState:
        refuse_length(self.config, length)
        return self.level.new_state(batch)

    def lr_scales(self) -> dict[str, float]:
        """The embedding, the head and a router have their stage's rate, a pad that of the stage it leads to."""
        scales = self.config.lr_scales
        found = {"embed": scales[0], "head": scales[0], "level": scales[0]} if scales else {}
        path = "level"
        for scale in scales[1:]:
            found |= {f"{path}.pad": scale, f"{path}.inner": scale}
            path += ".inner"
        return found

    def flops_per_token(self, context: int) -> int:
        """Products alone, at the chunks per item of the last whole pass, before it at those asked for."""
        per_token, share = float(self.config.dims[0] * self.vocab_size), 1.0
        rates = [level.rate or 1 / size for level, size in zip(self.levels(), self.config.chunk_sizes, strict=True)]
        for stage, stacks in enumerate(self.stages()):
            shape, depth = self.config.shape(stage), sum(self.config.num_layers[stage])
            matrices = depth * (4 * shape.dim * shape.state_dim + 3 * shape.dim * shape.ffn_dim)
            per_token += share * (matrices + (3 * shape.dim**2 if len(stacks) == 2 else 0))  # router and residual
            share *= rates[stage] if stage < len(rates) else 1.0
        return round(2 * per_token)


PRESETS = {
    "simplified/hnet1": Preset(
        HNetBitConfig(
            dims=(256, 384), num_layers=((4, 0, 4), (8,)), expand_ratio=2, short_conv=True, lr_scales=(1.5, 1.0)
        ),
        256,
        "for bytes; the guide's hierarchical model of one stage of chunks",
    ),
    "simplified/hnet2": Preset(
        HNetBitConfig(
            dims=(512, 768, 1024),
            num_layers=((1, 0, 1), (1, 0, 1), (3,)),
            lr_scales=(2.0, 1.5, 1.0),
            ratio_weight=0.05,
        ),
        256,
        "for bytes; chunks of chunks",
    ),
    "simplified/hnet2_large": Preset(
        HNetBitConfig(
            dims=(512, 768, 1024),
            num_layers=((4, 0, 4), (4, 0, 4), (8,)),
            expand_ratio=2,
            short_conv=True,
            lr_scales=(2.0, 1.5, 1.0),
            ratio_weight=0.05,
        ),
        256,
        "for bytes; hnet2 with more blocks and wider states",
    ),
}
