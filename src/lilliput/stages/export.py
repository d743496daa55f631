"""A run's model written for use elsewhere, with its size and speed beside what it was."""

from dataclasses import dataclass, replace
from pathlib import Path

from lilliput.config.load import dump
from lilliput.export import ternary
from lilliput.export.ternary import Speed
from lilliput.models.weights import tensors
from lilliput.nn.kernels import kernels, use
from lilliput.stages.opened import open_model


@dataclass(frozen=True)
class Exported:
    path: Path
    bytes: int
    fp32_bytes: int
    speed: Speed
    fp32_speed: Speed


def export_ternary(word: str) -> Exported:
    """Pack the model that `word` names; both are timed on the CPU, the one as trained with products in fp32."""
    opened = open_model(word, "cpu")
    fp32_bytes = sum(4 * tensor.numel() for _, tensor in tensors(opened.model))
    chosen = kernels()
    try:
        use(replace(chosen, ternary="float"))
        fp32_speed = ternary.decoding_speed(opened.model)
    finally:
        use(chosen)
    packed = ternary.pack(opened.model)
    path = ternary.save(opened.run, opened.step, packed, dump(opened.recipe), opened.tokenizer)
    return Exported(path, ternary.size(path), fp32_bytes, ternary.decoding_speed(packed), fp32_speed)
