"""Models of ternary layers for inference: four weights to a byte, in a folder with settings and tokenizer."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lilliput.config.errors import Exit, LilliputError
from lilliput.models.contract import LanguageModel
from lilliput.models.weights import fill, tensors
from lilliput.nn.bitlinear import BitLinear, PackedBitLinear
from lilliput.runs import durable
from lilliput.runs.run import Run
from lilliput.runs.sealed import seal, unseal
from lilliput.runs.tensors import read_tensors, write_tensors
from lilliput.tokens.tokenizer import Tokenizer

FORMAT = 1
WARM = 8
"""Tokens decoded before the clock starts."""
WEIGHTS, SEALED = "model.safetensors", "export.json"


@dataclass(frozen=True)
class Speed:
    """Decoding one text, greedily."""

    tokens: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.tokens / self.seconds


def pack(model: LanguageModel) -> LanguageModel:
    """Put packed layers in the place of ternary ones; raises `LilliputError` (usage) for a model that has none."""
    found = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, BitLinear)]
    if not found:
        raise LilliputError(
            f"a `{model.config.family}` model has no ternary layers to pack",
            "export a model of ternary layers, such as one of the presets simplified/*",
            Exit.USAGE,
        )
    for name, layer in found:
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, PackedBitLinear.of(layer))
    return model.requires_grad_(False).eval()


def save(run: Run, step: int, model: LanguageModel, config: Mapping[str, Any], tokenizer: Tokenizer) -> Path:
    """Write a packed model into `exports/ternary-step-N` of its run, all or nothing.

    The folder is laid out like a run: it can be moved, and opened wherever it lies. Raises `LilliputError` (exists).
    """
    target = run.exports / f"ternary-step-{step}"
    if target.exists():
        raise LilliputError(f"{target} exists", "remove it, or export another step", Exit.EXISTS)
    durable.make_dir(run.exports)
    temporary = durable.scratch(run.exports, target.name)
    try:
        durable.make_dir(temporary, new=True)
        record = write_tensors(temporary / WEIGHTS, _entries(model))
        inside = Run(temporary)
        inside.write_config(config)
        tokenizer.save(inside.tokenizer)
        document = {"format": FORMAT, "step": step, "family": model.config.family, "run": run.id}
        durable.write_new(temporary / SEALED, seal({**document, "weights": asdict(record)}))
        durable.sync_dir(temporary)
        durable.rename(temporary, target)
    except BaseException:
        with suppress(OSError):
            durable.remove_tree(temporary)
        raise
    durable.sync_dir(run.exports)
    return target


def is_export(path: Path) -> bool:
    return (path / SEALED).is_file()


def load(path: Path, model: LanguageModel) -> int:
    """Fill a packed model from an export whose hash agrees; the step it was made of. Raises `Damaged`."""
    document = unseal(path / SEALED)
    if document["format"] > FORMAT:
        cause = f"{path} has export format {document['format']}; this version reads up to {FORMAT}"
        raise LilliputError(cause, "install a newer lilliput", Exit.UNAVAILABLE)
    with read_tensors(path / WEIGHTS, sha256=document["weights"]["sha256"]) as found:
        fill(model, found, str(path))
    return int(document["step"])


def size(path: Path) -> int:
    """Bytes of an export's weights."""
    return (path / WEIGHTS).stat().st_size


@torch.no_grad()
def decoding_speed(model: LanguageModel, *, tokens: int = 64) -> Speed:
    """How fast one text is decoded, once the first tokens have warmed the machine up."""
    device = next(tensors(model))[1].device
    length = min(model.config.max_positions or tokens + WARM, tokens + WARM)
    warm = min(WARM, length - 1)
    state, token = model.new_state(1, length), torch.zeros(1, 1, dtype=torch.long, device=device)
    begun = 0.0
    for step in range(length):
        if step == warm:
            begun = time.perf_counter()
        token = model.head(model(token, state=state).features[:, -1]).argmax(dim=-1, keepdim=True)
    return Speed(length - warm, time.perf_counter() - begun)


def _entries(model: LanguageModel) -> Iterator[tuple[str, str, tuple[int, ...], Callable[[], memoryview]]]:
    for name, tensor in tensors(model):
        dtype = torch.uint8 if tensor.dtype == torch.uint8 else torch.float32
        kind = "U8" if dtype == torch.uint8 else "F32"
        yield name, kind, tuple(tensor.shape), partial(_bytes, tensor.to("cpu", dtype))


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
