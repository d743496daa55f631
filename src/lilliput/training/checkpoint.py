"""Checkpoints of training: weights and optimizer state in fp32 by parameter name, counters as JSON; no pickle."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lilliput.config.errors import Exit, LilliputError
from lilliput.models import weights
from lilliput.models.contract import LanguageModel
from lilliput.optim import Optimizer
from lilliput.runs.checkpoints import MODEL, OPTIMIZER, STATE, Write, verify
from lilliput.runs.durable import FileRecord, write_new
from lilliput.runs.tensors import file_size, read_tensors, write_tensors

DTYPES = {
    torch.float32: "F32",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}

State = dict[str, Any]


def contents(
    step: int,
    model: LanguageModel,
    optimizer: Optimizer,
    state: Mapping[str, Any],
    *,
    tokenizer: str,
    copied: bool = False,
) -> Write:
    """What writes a checkpoint's files, for `Run.commit`; `tokenizer` is its tokenizer's hash.

    `copied`, it holds the values of this moment, whatever training does next. When it writes, it raises `LilliputError`
    (diverged) for a value that is not finite, and OSError; nothing is committed then.
    """
    document = {
        **state,
        "step": step,
        "updates": optimizer.updates,
        "family": model.config.family,
        "vocab_size": model.vocab_size,
        "tokenizer": tokenizer,
    }
    words = (json.dumps(document, allow_nan=False, indent=1) + "\n").encode()
    tensors = {MODEL: stored(model, optimizer), OPTIMIZER: optimizer.tensors().items()}
    parts = (
        {name: [(key, _copy(value)) for key, value in part] for name, part in tensors.items()} if copied else tensors
    )

    def write(path: Path) -> dict[str, FileRecord]:
        files = {name: write_tensors(path / name, entries(part, step)) for name, part in parts.items()}
        return {**files, STATE: write_new(path / STATE, words)}

    return write


def load(
    path: Path,
    model: LanguageModel,
    optimizer: Optimizer | None = None,
    *,
    tokenizer: str | None = None,
    weights_only: bool = False,
) -> State:
    """Fill a model, and the optimizer built over it, from an intact checkpoint; returns what `contents` was given.

    With `weights_only`, or without `optimizer`, the optimizer's state stays what it is. Raises `Damaged`, and
    `LilliputError` (content) for a checkpoint of another family, vocabulary or tokenizer; nothing is changed then.
    """
    files = verify(path)["files"]
    state = check(path, model.config.family, model.vocab_size, tokenizer)
    with read_tensors(path / MODEL, sha256=files[MODEL]["sha256"]) as found:
        if optimizer is None or weights_only:
            weights.fill(model, found, str(path))
            if optimizer is not None:
                optimizer.weights.load(lambda name: torch.from_numpy(found[name]))
            return state
        with read_tensors(path / OPTIMIZER, sha256=files[OPTIMIZER]["sha256"]) as buffers:
            optimizer.check({key: entry.shape for key, entry in buffers.entries.items()})
            weights.fill(model, found, str(path))
            optimizer.weights.load(lambda name: torch.from_numpy(found[name]))
            optimizer.load_tensors({key: torch.from_numpy(buffers[key]) for key in buffers}, state["updates"])
    return state


def stored(model: LanguageModel, optimizer: Optimizer) -> Iterator[tuple[str, Tensor]]:
    """The model's tensors by name, with the optimizer's masters in the place of what was rounded from them."""
    for name, tensor in weights.tensors(model):
        master = optimizer.weights.stored(name)
        yield name, tensor if master is None else master


def sizes(model: LanguageModel, optimizer: Optimizer) -> dict[str, int]:
    """Bytes of a checkpoint's tensor files after any update; a model without storage will do."""
    held = [(name, _dtype(tensor), tuple(tensor.shape)) for name, tensor in stored(model, optimizer)]
    state = [(key, torch.float32, shape) for key, shape in optimizer.shapes().items()]
    return {
        file: file_size((name, DTYPES[dtype], shape) for name, dtype, shape in part)
        for file, part in ((MODEL, held), (OPTIMIZER, state))
    }


def entries(
    tensors: Iterable[tuple[str, Tensor]], step: int
) -> Iterator[tuple[str, str, tuple[int, ...], Callable[[], memoryview]]]:
    """What a tensor file's writer asks for, in fp32; raises `LilliputError` (diverged) for what is not finite."""
    for name, tensor in tensors:
        dtype = _dtype(tensor)
        yield name, DTYPES[dtype], tuple(tensor.shape), partial(_bytes, name, tensor, dtype, step)


def _dtype(tensor: Tensor) -> torch.dtype:
    """In which it is saved."""
    return torch.float32 if tensor.is_floating_point() else tensor.dtype


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", _dtype(tensor), copy=True)


def _bytes(name: str, tensor: Tensor, dtype: torch.dtype, step: int) -> memoryview:
    tensor = tensor.to("cpu", dtype)
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise LilliputError(
            f"training diverged: `{name}` is not finite after step {step}",
            "start a new run from the last checkpoint by `--from RUN`, with a lower optim.lr or longer schedule.warmup",
            Exit.DIVERGED,
        )
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data


def check(path: Path, family: str, vocab_size: int, tokenizer: str | None = None) -> State:
    """A checkpoint's state; raises `LilliputError` (content) where family, vocabulary or tokenizer is another."""
    state: State = json.loads((path / STATE).read_bytes())
    facts = [
        ("family", state["family"], family),
        ("vocabulary size", state["vocab_size"], vocab_size),
        ("tokenizer", state["tokenizer"], state["tokenizer"] if tokenizer is None else tokenizer),
    ]
    for what, found, wanted in facts:
        if found != wanted:
            action = "use the model and tokenizer settings of the run it came from"
            if what == "family":
                action = f"use model.family={found} with the shape of the run it came from"
            raise LilliputError(
                f"{path} was trained with another {what}: {found}, and this run has {wanted}", action, Exit.CONTENT
            )
    return state
