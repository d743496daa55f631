"""A folder of experts: one file per layer and expert and one for the trunk, each with its optimizer state."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lilliput.config.differences import leaves
from lilliput.config.errors import Exit, LilliputError
from lilliput.config.fields import place
from lilliput.config.load import dump
from lilliput.config.settings import Resume
from lilliput.models.contract import LanguageModel
from lilliput.models.weights import tensors
from lilliput.nn.experts import Mixture
from lilliput.optim import Optimizer
from lilliput.runs import durable
from lilliput.runs.tensors import TensorFile, read_tensors, write_tensors
from lilliput.training.checkpoint import entries, stored

OF_A_PHASE = ("num_experts", "num_active_experts", "max_positions")
"""Settings of a model that are others in one phase than in the next, and change no weight."""


@dataclass(frozen=True)
class Roles:
    """The parameters of a model by what they belong to."""

    layers: dict[int, list[str]]
    """Stacked weights of experts, by layer."""
    routers: frozenset[str]
    trunk: frozenset[str]

    @property
    def experts(self) -> list[str]:
        return [name for inside in self.layers.values() for name in inside]


@dataclass(frozen=True)
class Found:
    """What files hold: values, optimizer buffers by `<parameter>/<buffer>`, and the updates they have had."""

    values: dict[str, Tensor]
    buffers: dict[str, Tensor]
    updates: int


def roles(model: LanguageModel) -> Roles:
    layers: dict[int, list[str]] = {}
    routers = set[str]()
    for path, module in model.named_modules():
        if isinstance(module, Mixture):
            number = re.search(r"\d+", path)
            inside = [name for name, _ in module.named_parameters(path)]
            routers |= {name for name in inside if name.startswith(f"{path}.router.")}
            layers[int(number.group()) if number else 0] = [name for name in inside if name not in routers]
    known = {name for name, _ in model.named_parameters()}
    trunk = known - routers - {name for inside in layers.values() for name in inside}
    return Roles(layers, frozenset(routers), frozenset(trunk))


class ExpertFolder:
    """The files of one model's trunk and experts: it is known by its settings, its tokenizer by a fingerprint."""

    def __init__(self, path: Path, model: LanguageModel, tokenizer: str) -> None:
        self.path, self.model, self.tokenizer, self.roles = path, model, tokenizer, roles(model)
        self.trunk = path / "trunk.safetensors"

    def file(self, layer: int, expert: int) -> Path:
        return self.path / f"layer-{layer:02d}.expert-{expert}.safetensors"

    def experts(self) -> list[int]:
        """Those whose files of every layer are there."""
        layers = list(self.roles.layers)
        found = self.path.glob(f"{self.file(layers[0], 0).name.split('-0.')[0]}-*.safetensors") if layers else ()
        numbers = sorted(int(path.name.split("expert-")[1].split(".")[0]) for path in found)
        return [number for number in numbers if all(self.file(layer, number).exists() for layer in layers)]

    def read_trunk(self) -> Found:
        """Raises `LilliputError`: missing where the file is not there, content where it belongs to another model."""
        return self._read(self.trunk, sorted(self.roles.trunk))

    def read_expert(self, expert: int) -> Found:
        """Of every layer, as stacks of one, (1, ...). Raises as `read_trunk`."""
        found = [self._read(self.file(layer, expert), inside) for layer, inside in self.roles.layers.items()]
        values = {name: value for part in found for name, value in part.values.items()}
        buffers = {key: value for part in found for key, value in part.buffers.items()}
        return Found(values, buffers, max((part.updates for part in found), default=0))

    def check(self, experts: Sequence[int]) -> None:
        """Raise as `read_trunk` and `read_expert` of each would, from the files' heads alone."""
        parts = [(self.trunk, sorted(self.roles.trunk))]
        parts += [(self.file(layer, n), inside) for n in experts for layer, inside in self.roles.layers.items()]
        for path, inside in parts:
            with self._opened(path, inside):
                pass

    def write(self, expert: int, optimizer: Optimizer, *, trunk: bool) -> None:
        """The expert of a model with one, and its trunk where asked.

        Each file is written whole or stays what it was; a process that dies in between leaves a mark, so that nobody
        reads old files beside new ones.
        """
        marks = [self._mark(f"expert-{expert}"), *([self._mark("trunk")] if trunk else [])]
        durable.make_dir(self.path)
        for mark in marks:
            durable.replace(mark, b"")
        for layer, inside in self.roles.layers.items():
            self._write(self.file(layer, expert), frozenset(inside), optimizer)
        if trunk:
            self._write(self.trunk, self.roles.trunk, optimizer)
        for mark in marks:
            durable.remove(mark)
        durable.sync_dir(self.path)

    def holds(self, expert: int, updates: int, *, trunk: bool) -> bool:
        """Whether all that `write` writes is there, whole, after at least so many updates."""
        files = [self.file(layer, expert) for layer in self.roles.layers] + ([self.trunk] if trunk else [])
        if any(not path.exists() or self._mark(_part(path)).exists() for path in files):
            return False
        found = []
        for path in files:
            with read_tensors(path) as tensors_there:
                found.append(int(tensors_there.metadata.get("updates", 0)))
        return min(found, default=0) >= updates

    def _mark(self, part: str) -> Path:
        return self.path / f"{part}.unfinished"

    def distances(self, experts: Sequence[int]) -> dict[tuple[int, int], float]:
        """The distance of each pair of experts over all layers, in lengths of their weights; 0 between copies."""
        apart, length = (dict.fromkeys(combinations(experts, 2), 0.0) for _ in range(2))
        for layer, inside in self.roles.layers.items():
            for pair in apart:
                files = [read_tensors(self.file(layer, expert)) for expert in pair]
                with files[0] as one, files[1] as other:
                    for name in inside:
                        apart[pair] += float(((one[name] - other[name]) ** 2).sum())
                        length[pair] += float((one[name] ** 2).sum() + (other[name] ** 2).sum()) / 2
        return {pair: (apart[pair] / length[pair]) ** 0.5 for pair in apart}

    def _read(self, path: Path, inside: Sequence[str]) -> Found:
        with self._opened(path, inside) as found:
            values = {name: torch.from_numpy(found[name]) for name in inside}
            buffers = {key: torch.from_numpy(found[key]) for key in found if "/" in key}
            return Found(values, buffers, int(found.metadata.get("updates", 0)))

    @contextmanager
    def _opened(self, path: Path, inside: Sequence[str]) -> Iterator[TensorFile]:
        part = _part(path)
        if self._mark(part).exists():
            cause = f"experts.folder: {part} was being written into {self.path} when its run was stopped"
            raise LilliputError(cause, "resume that run by its name and `--resume`: it writes all anew", Exit.CONTENT)
        if not path.exists():
            cause, way = f"experts.folder: {path} is not there", "experts.mode=sequential experts.active=0"
            raise LilliputError(cause, f"train every expert first, from 0 on: {way}", Exit.MISSING)
        with read_tensors(path) as found:
            self._refuse_foreign(path, found, inside)
            yield found

    def _refuse_foreign(self, path: Path, found: TensorFile, inside: Sequence[str]) -> None:
        shapes = {name: tuple(p.shape) for name, p in self.model.named_parameters()}
        shapes |= {name: (1, *shapes[name][1:]) for name in self.roles.experts}
        wrong = next((n for n in inside if n not in found or tuple(found.entries[n].shape) != shapes[n]), None)
        if wrong is not None:
            has = tuple(found.entries[wrong].shape) if wrong in found else "no such tensor"
            cause = f"{path} does not fit this model: `{wrong}` is {shapes[wrong]} here and {has} there"
        elif found.metadata.get("tokenizer") != self.tokenizer:
            cause = f"{path} does not fit this model: it was trained with another tokenizer"
        elif other := next(_others(json.loads(found.metadata.get("model", "{}")), self._settings()), None):
            cause = f"{path} does not fit this model: {other}"
        else:
            return
        raise LilliputError(cause, "use the model and tokenizer it was made with, or another folder", Exit.CONTENT)

    def _settings(self) -> dict[str, Any]:
        """What an equal shape does not tell, such as a window."""
        config = self.model.config
        known = leaves(place(type(config)), dump(config))
        return {key: value for key, value, resume in known if resume is Resume.FATAL and key not in OF_A_PHASE}

    def _write(self, path: Path, inside: frozenset[str], optimizer: Optimizer) -> None:
        held = [(name, tensor) for name, tensor in stored(self.model, optimizer) if name in inside]
        held += [(key, value) for key, value in optimizer.tensors().items() if key.rpartition("/")[0] in inside]
        facts = {"updates": str(optimizer.updates), "tokenizer": self.tokenizer, "model": json.dumps(self._settings())}
        draft = durable.scratch(self.path, path.name)
        write_tensors(draft, entries(held, optimizer.updates), facts)
        durable.rename(draft, path)
        durable.sync_dir(self.path)


def _part(path: Path) -> str:
    """`trunk`, or `expert-3` of whatever layer."""
    return path.stem.rpartition(".")[2]


def _others(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """Each setting that two models differ in; one that an older version did not know says nothing."""
    return (f"model.{k} is {here[k]} here and {there[k]} there" for k in here if k in there and there[k] != here[k])


def fill(model: LanguageModel, optimizer: Optimizer, values: Mapping[str, Tensor]) -> None:
    """Copy values into the model, and into what its optimizer updates; the rest stays."""
    with torch.no_grad():
        for name, tensor in tensors(model):
            if name in values:
                tensor.copy_(values[name])
    weights = optimizer.weights
    known = weights.named | weights.frozen
    weights.load(lambda name: values[name] if name in values else known[name].detach())
