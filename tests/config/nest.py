"""A nest of settings with everything a recipe has: unions, presets, lists, optional and mixed values."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lilliput.config.settings import Display, Fatal, Safe, Semantic, settings


@settings
class Square:
    family: Literal["square"] = "square"
    dim: Fatal[int] = Field(gt=0)
    """Width of
    the square."""
    heads: Fatal[int] = Field(default=1, gt=0)
    """Parts of the width."""

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise ValueError(f"heads ({self.heads}) do not divide dim ({self.dim})")


@settings
class Round:
    family: Literal["round"] = "round"
    radius: Semantic[float] = Field(default=1.5, gt=0, lt=100)
    """Half the width."""
    names: Semantic[list[str]] = Field(default_factory=list)
    """Words."""
    betas: Semantic[tuple[float, float]] = (0.9, 0.95)
    """Two numbers."""


Shape = Annotated[Square | Round, Field(discriminator="family")]


@settings
class Warmup:
    steps: Semantic[int | None] = Field(default=None, ge=0)
    """Updates."""
    share: Semantic[float] = Field(default=0.05, ge=0, le=1)
    """Part of the run."""


@settings
class Schedule:
    warmup: Semantic[Literal["auto"] | Warmup] = "auto"
    """How the run begins."""
    size: Safe[Annotated[int, Field(gt=0)] | Literal["auto"]] = "auto"
    """How many at once."""
    folder: Display[Path] = Path("here")
    """Where to look."""


@settings
class Nest:
    seed: Semantic[int] = 42
    """Where chance begins."""
    loud: Display[bool] = False
    """Whether to speak."""
    title: Display[str] = "nest"
    """A name."""
    model: Shape
    """The main shape."""
    second: Shape = Field(default_factory=lambda: Round(radius=7.0))
    """Another shape."""
    spare: Shape | None = None
    """A shape or none."""
    many: list[Shape] = Field(default_factory=list)
    """Several shapes."""
    extra: Safe[list[Shape]] = Field(default_factory=list)
    """Shapes that change no result."""
    schedule: Schedule = Field(default_factory=lambda: Schedule(size=3))
    """The plan."""


PRESETS = {
    "model": {
        "lab/nano": {"family": "square", "dim": 12, "heads": 3},
        "octo/base": {"family": "round", "radius": 0.25},
    }
}


@settings
class Oval(Round):
    """A class that extends another."""

    height: Semantic[float] = 2.0
    """The other half."""


@settings
class Left:
    kind: Literal["left"] = "left"
    dim: Semantic[int] = 1
    """Width."""


@settings
class Right:
    kind: Literal["right"] = "right"
    dim: Semantic[int] = 1
    """Width."""
    depth: Semantic[int] = 1
    """Height."""


@settings
class Pair:
    either: Annotated[Left | Right, Field(discriminator="kind")] = Left()
    """One of two."""
