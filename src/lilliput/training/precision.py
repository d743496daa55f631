"""Number formats of a run: what weights and activations are held in, and fp16's loss scale."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from lilliput.config.errors import Exit, LilliputError
from lilliput.nn.kernels import has_bfloat16

Format = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Precision:
    """A resolved format.

    bf16 keeps the model's weights in bfloat16 and updates fp32 masters of them, so that no weight is cast at each
    use; fp16, whose range is too small for that, keeps fp32 weights, autocasts, and scales the loss.
    """

    format: Format = "fp32"

    @property
    def weights(self) -> torch.dtype:
        """What the model's parameters are held in."""
        return torch.bfloat16 if self.format == "bf16" else torch.float32

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        return torch.autocast(device.type, torch.float16) if self.format == "fp16" else nullcontext()

    def scaler(self) -> "LossScale | None":
        return LossScale() if self.format == "fp16" else None


class LossScale:
    """fp16's loss scale: halved when a gradient overflows, doubled after 2,000 updates that fit."""

    PATIENCE = 2000
    LEAST = 1.0

    def __init__(self, scale: float = 2.0**16, fits: int = 0) -> None:
        self.scale, self.fits = scale, fits

    def grow(self) -> None:
        self.fits += 1
        if self.fits == self.PATIENCE:
            self.scale, self.fits = self.scale * 2, 0

    def shrink(self) -> bool:
        """False when the scale is already as small as it may be: the gradient itself is not finite."""
        self.scale, self.fits = self.scale / 2, 0
        return self.scale >= self.LEAST

    def state(self) -> dict[str, float]:
        return {"scale": self.scale, "fits": self.fits}

    def load_state(self, state: dict[str, float]) -> None:
        self.scale, self.fits = state["scale"], int(state["fits"])


def candidates(device: torch.device) -> list[Format]:
    """Formats that `auto` may choose between on a device, the safest first."""
    return ["fp32", "bf16"] if has_bfloat16(device) else ["fp32"]


def check(format: Format, device: torch.device) -> Precision:
    """The precision of that name; raises `LilliputError` (recipe) where the device cannot train in it."""
    if format == "fp16" and device.type != "cuda":
        raise LilliputError(
            f"training.precision: fp16 needs a CUDA device, and this run is on {device.type}",
            "set training.precision to bf16, fp32 or auto",
            Exit.RECIPE,
        )
    return Precision(format)
