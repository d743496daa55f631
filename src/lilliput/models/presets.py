"""Named shapes: what a preset stands for in a recipe, with changes, and what its model holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.load import Tree, dump, load, merge
from lilliput.config.nearest import did_you_mean
from lilliput.config.settings import settings
from lilliput.models import PRESETS, ModelConfig
from lilliput.models.weights import Counts, counts, outline


@settings
class Shape:
    """The part of a recipe that names a model."""

    model: ModelConfig


@dataclass(frozen=True)
class Summary:
    name: str
    config: Any
    vocab_size: int
    counts: Counts
    flops: int
    """Floating-point operations per token of a forward pass over all positions, or over 1,024 where they are open."""
    note: str

    @property
    def family(self) -> str:
        return str(self.config.family)

    def bytes(self, width: int) -> int:
        """Bytes of the weights alone at so many bytes each."""
        return width * self.counts.total


def trees() -> dict[str, Tree]:
    """Every preset as the section of a recipe it stands for."""
    return {name: dump(preset.config) for name, preset in PRESETS.items()}


def summary(name: str, overrides: Sequence[str] = (), vocab_size: int | None = None) -> Summary:
    """What the model of a preset holds, with a recipe's words such as `model.num_layers=8`; nothing is allocated.

    Without `vocab_size` the preset's nominal vocabulary counts.
    """
    if name not in PRESETS:
        cause = f"no preset {name}{did_you_mean(name, PRESETS)}"
        raise LilliputError(cause, "`lilliput models list` names them", Exit.USAGE)
    known = {"model": trees()}
    tree = merge({"model": {"preset": name}}, overrides, known)
    config = load(Shape, tree, presets=known).model
    vocab = vocab_size or PRESETS[name].nominal_vocab
    model = outline(config, vocab)
    return Summary(
        name, config, vocab, counts(model), model.flops_per_token(config.max_positions or 1024), PRESETS[name].note
    )
