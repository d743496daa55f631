"""A model's parameters by name: built from a seed, counted, read out, and filled from a checkpoint's tensors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lilliput.config.errors import Exit, LilliputError
from lilliput.models.contract import LanguageModel, ModelSettings


@dataclass(frozen=True)
class Counts:
    """Parameters of a model; tied weights count once, and as embedding."""

    total: int
    active: int
    """What one token passes through."""
    embedding: int
    """Token and position tables, and the head."""
    non_embedding: int


def build_model(config: ModelSettings, vocab_size: int, seed: int) -> LanguageModel:
    """The untrained model of a seed, the same on every machine; torch's own random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return config.build(vocab_size)


def outline(config: ModelSettings, vocab_size: int) -> LanguageModel:
    """The model without storage, for counting."""
    with torch.device("meta"):
        return config.build(vocab_size)


def counts(model: LanguageModel) -> Counts:
    total = sum(tensor.numel() for _, tensor in tensors(model))
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    embedding = sum({id(p): p.numel() for module in (*tables, model.head) for p in module.parameters()}.values())
    return Counts(total, total - model.idle_parameters(), embedding, total - embedding)


def tensors(model: LanguageModel) -> Iterator[tuple[str, Tensor]]:
    """Every stored tensor by name, once: an alias such as a tied head is left out."""
    yield from ((name, parameter.detach()) for name, parameter in model.named_parameters())
    stored = model.state_dict(keep_vars=True)
    yield from ((name, buffer) for name, buffer in model.named_buffers() if name in stored)


def fill(model: LanguageModel, found: Mapping[str, Tensor | NDArray[np.generic]], origin: str) -> None:
    """Copy tensors into the model by name; nothing is copied unless all names and shapes agree.

    `origin` says in errors where the tensors come from.
    """
    wanted = dict(tensors(model))
    _refuse_names(model, wanted.keys() - found.keys(), found.keys() - wanted.keys(), origin)
    for name, tensor in wanted.items():
        if tuple(found[name].shape) != tuple(tensor.shape):
            raise LilliputError(
                f"{origin}: `{name}` has shape {tuple(found[name].shape)}, the model's is {tuple(tensor.shape)}",
                "load it with the model settings and the tokenizer it was trained with",
                Exit.CONTENT,
            )
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(torch.as_tensor(found[name]))


def _refuse_names(model: LanguageModel, missing: set[str], unexpected: set[str], origin: str) -> None:
    if missing or unexpected:
        parts = [("lacks", missing), ("holds unknown", unexpected)]
        told = " and ".join(f"{verb} {_some(names)}" for verb, names in parts if names)
        raise LilliputError(
            f"{origin} does not hold the weights of this `{model.config.family}` model: it {told}",
            "load it with the model settings it was trained with",
            Exit.CONTENT,
        )


def _some(names: set[str]) -> str:
    first = ", ".join(f"`{name}`" for name in sorted(names)[:3])
    return first if len(names) <= 3 else f"{first} and {len(names) - 3} more"
