"""A model's parameters by name: built from a seed, counted, read out, and filled from a checkpoint's tensors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lilliput.config.errors import Exit, LilliputError
from lilliput.models.contract import LanguageModel, ModelSettings
from lilliput.runs.tensors import Array, TensorFile


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


def fill(model: LanguageModel, found: Mapping[str, Tensor | Array], origin: str) -> None:
    """Copy tensors into the model by name, each read once; nothing is copied unless all names and shapes agree.

    `found` may be an open tensor file. `origin` says in errors where the tensors come from.
    """
    wanted = dict(tensors(model))
    _refuse_names(model, wanted.keys() - found.keys(), found.keys() - wanted.keys(), origin)
    shapes = found.entries if isinstance(found, TensorFile) else found
    for name, tensor in wanted.items():
        if tuple(shapes[name].shape) != tuple(tensor.shape):
            raise LilliputError(
                f"{origin}: `{name}` has shape {tuple(shapes[name].shape)}, the model's is {tuple(tensor.shape)}",
                "load it with the model settings and the tokenizer it was trained with",
                Exit.CONTENT,
            )
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(_tensor(found[name]))


def _tensor(values: Tensor | Array) -> Tensor:
    if isinstance(values, Tensor):
        return values
    tensor = torch.from_numpy(values)
    # numpy has no bfloat16: a tensor file hands out its 16 bits
    return tensor.view(torch.bfloat16) if tensor.dtype == torch.uint16 else tensor


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
