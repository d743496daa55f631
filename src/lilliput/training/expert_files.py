"""A folder of experts: one file per layer and expert and one for the trunk, each with its optimizer state.

What a phase has trained appears there as a whole or not at all, and no byte of it is used that differs from its hash.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
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
from lilliput.runs.damage import Damaged
from lilliput.runs.durable import FileRecord
from lilliput.runs.lock import RunLock
from lilliput.runs.shelf import Kept, Shelf
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


TRUNK = "trunk"
EXPERT = re.compile(r"layer-([0-9]{2,})\.expert-([0-9]+)")


def layer_of_expert(layer: int, expert: int) -> str:
    """The name of a file."""
    return f"layer-{layer:02d}.expert-{expert}"


@contextmanager
def reserved(path: Path, expert: int, *, trunk: bool) -> Iterator[None]:
    """Keep other runs from training the same parts of a folder; raises `LilliputError` with Exit.LOCKED."""
    durable.make_dir(path)
    with ExitStack() as stack:
        for part in (f"expert-{expert}", *((TRUNK,) if trunk else ())):
            lock = RunLock(path / f"{part}.LOCK")
            try:
                stack.enter_context(lock)
            except LilliputError as error:
                if error.code is not Exit.LOCKED:
                    raise
                cause = f"{part} of {path} is being trained by another run"
                raise LilliputError(
                    cause, "wait for it, stop it, or choose another experts.active", error.code
                ) from None
        yield


class ExpertFolder:
    """The files of one model's trunk and experts: it is known by its settings, its tokenizer by a fingerprint."""

    def __init__(self, path: Path, model: LanguageModel, tokenizer: str) -> None:
        self.path, self.model, self.tokenizer, self.roles = path, model, tokenizer, roles(model)
        self._shelf = Shelf(path, ".safetensors")
        self._kept: dict[str, Kept] | None = None

    @property
    def kept(self) -> dict[str, Kept]:
        """Its files by name, as they were when this was first asked for: what is read is of one moment."""
        if self._kept is None:
            self._kept = self._shelf.kept()
        return self._kept

    @property
    def has_trunk(self) -> bool:
        return TRUNK in self.kept

    def experts(self) -> list[int]:
        """Those of which every layer is there."""
        numbers = {int(match[2]) for match in map(EXPERT.fullmatch, self.kept) if match}
        return [
            n for n in sorted(numbers) if all(layer_of_expert(layer, n) in self.kept for layer in self.roles.layers)
        ]

    def read_trunk(self) -> Found:
        """Raises `LilliputError`: missing where it is not there, content where it is damaged or of another model."""
        return self._read(TRUNK, sorted(self.roles.trunk))

    def read_expert(self, expert: int) -> Found:
        """Of every layer, as stacks of one, (1, ...). Raises as `read_trunk`."""
        found = [self._read(layer_of_expert(layer, expert), inside) for layer, inside in self.roles.layers.items()]
        values = {name: value for part in found for name, value in part.values.items()}
        buffers = {key: value for part in found for key, value in part.buffers.items()}
        return Found(values, buffers, max((part.updates for part in found), default=0))

    def check(self, experts: Sequence[int], *, whole: bool = True) -> None:
        """Raise as `read_trunk` and `read_expert` of each would; not `whole`: from the files' heads alone."""
        for name, inside in self._parts(experts, trunk=True).items():
            with self._opened(name, inside, whole=whole):
                pass

    def write(self, expert: int, optimizer: Optimizer, *, trunk: bool) -> None:
        """The expert of a model with one, and its trunk where asked: all of it, or nothing changes."""
        parts = self._parts([expert], trunk=trunk).items()
        self._shelf.put({name: partial(self._write, frozenset(inside), optimizer) for name, inside in parts})
        self._kept = None

    def holds(self, expert: int, updates: int, *, trunk: bool) -> bool:
        """Whether all that `write` writes is there, whole, after at least so many updates."""
        found = []
        for name, inside in self._parts([expert], trunk=trunk).items():
            try:
                with self._opened(name, inside) as tensors_there:
                    found.append(int(tensors_there.metadata.get("updates", 0)))
            except LilliputError:
                return False
        return min(found, default=0) >= updates

    def _parts(self, experts: Sequence[int], *, trunk: bool) -> dict[str, list[str]]:
        """The tensors in each file."""
        parts = {TRUNK: sorted(self.roles.trunk)} if trunk else {}
        layers = self.roles.layers.items()
        return parts | {layer_of_expert(layer, n): inside for n in experts for layer, inside in layers}

    def distances(self, experts: Sequence[int]) -> dict[tuple[int, int], float]:
        """The distance of each pair of experts over all layers, in lengths of their weights; 0 between copies."""
        apart, length = (dict.fromkeys(combinations(experts, 2), 0.0) for _ in range(2))
        for layer, inside in self.roles.layers.items():
            for pair in apart:
                names = [layer_of_expert(layer, expert) for expert in pair]
                with (
                    self._opened(names[0], inside, whole=False) as one,
                    self._opened(names[1], inside, whole=False) as other,
                ):
                    for name in inside:
                        apart[pair] += float(((one[name] - other[name]) ** 2).sum())
                        length[pair] += float((one[name] ** 2).sum() + (other[name] ** 2).sum()) / 2
        return {pair: (apart[pair] / length[pair]) ** 0.5 for pair in apart}

    def _read(self, name: str, inside: Sequence[str]) -> Found:
        with self._opened(name, inside) as found:
            values = {name: torch.from_numpy(found[name]) for name in inside}
            buffers = {key: torch.from_numpy(found[key]) for key in found if "/" in key}
            return Found(values, buffers, int(found.metadata.get("updates", 0)))

    @contextmanager
    def _opened(self, name: str, inside: Sequence[str], *, whole: bool = True) -> Iterator[TensorFile]:
        kept = self.kept.get(name)
        if kept is None:
            cause, way = f"experts.folder: {self.path} holds no {name}", "experts.mode=sequential experts.active=0"
            raise LilliputError(cause, f"train every expert first, from 0 on: {way}", Exit.MISSING)
        if (self.path / f"{name.rpartition('.')[2]}.unfinished").exists() and kept.record is None:
            raise _unusable(f"{kept.path} was being written when its run was stopped", Exit.CONTENT)
        try:
            opened = read_tensors(kept.path, sha256=kept.record.sha256 if kept.record and whole else None)
        except Damaged as damage:
            raise _unusable(damage.cause, Exit.CONTENT) from None
        except FileNotFoundError:
            raise _unusable(f"{kept.path} is not there any more", Exit.MISSING) from None
        with opened as found:
            self._refuse_foreign(kept.path, found, inside)
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

    def _write(self, inside: frozenset[str], optimizer: Optimizer, path: Path) -> FileRecord:
        held = [(name, tensor) for name, tensor in stored(self.model, optimizer) if name in inside]
        held += [(key, value) for key, value in optimizer.tensors().items() if key.rpartition("/")[0] in inside]
        facts = {"updates": str(optimizer.updates), "tokenizer": self.tokenizer, "model": json.dumps(self._settings())}
        return write_tensors(path, entries(held, optimizer.updates), facts)


def _unusable(cause: str, code: Exit) -> LilliputError:
    action = "resume the run that trained it, which puts it there anew, or restore it from a copy"
    return LilliputError(cause, action, code)


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
