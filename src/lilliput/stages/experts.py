"""Sequential experts: a mixture trained one expert at a time out of a shared folder, then assembled and trained on.

In the spirit of Branch-Train-Mix (arXiv 2403.07816), with one trunk: expert 0 is trained with it as a dense model, each
other expert starts as a copy of expert 0 and sees text of its own, and the assembled mixture learns whom to send what.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Fatal, Semantic, settings
from lilliput.models.contract import LanguageModel, ModelSettings
from lilliput.optim import Optimizer
from lilliput.training.expert_files import ExpertFolder, fill, reserved, roles

ROUTER_DEVIATION = 1e-3
"""An assembled mixture begins with hardly any preference."""

READ: Mapping[str, tuple[str, ...]] = {
    "together": ("trunk_lr",),
    "sequential": ("active", "folder", "trunk_lr", "noise"),
    "assembled": ("folder", "trunk_lr", "thaw"),
}
"""Keys that a mode reads, beside itself."""

TOGETHER = "experts='{mode: together}'"
"""The whole section: the mode alone would leave keys unused, such as a recipe's folder."""


@settings
class ExpertsConfig:
    """How the experts of a mixture are trained: all together, or one after the other and then assembled."""

    mode: Fatal[Literal["together", "sequential", "assembled"]] = "together"
    """`sequential` trains one expert out of `folder` and puts it back; `assembled` makes the mixture of all of them."""
    active: Fatal[int] = Field(default=0, ge=0)
    """The expert that a sequential run trains, from 0."""
    folder: Fatal[str] = "experts"
    """Where trunk and experts lie, a file per layer and expert."""
    trunk_lr: Semantic[float | None] = Field(default=None, ge=0)
    """Factor of the learning rate for all that is no expert; 0 = frozen; null = 1 for expert 0, 0 for the others."""
    noise: Semantic[float] = Field(default=0.01, ge=0)
    """What a new expert differs by from expert 0, as a share of the deviation of its weights."""
    thaw: Semantic[float] = Field(default=0.25, ge=0, le=1)
    """Share of an assembled run in which only trunk and routers learn."""

    @property
    def trunk_factor(self) -> float:
        if self.trunk_lr is not None:
            return self.trunk_lr
        return 1.0 if self.mode != "sequential" or self.active == 0 else 0.0


@dataclass(frozen=True)
class Pace:
    """How fast the parts of a model learn, as an optimizer is told."""

    factors: Mapping[str, float]
    late: frozenset[str]


def refusals(experts: ExpertsConfig, model: ModelSettings) -> Iterator[tuple[str, str]]:
    """(cause, action) of what does not fit together."""
    given = [own.name for own in fields(experts) if getattr(experts, own.name) != getattr(ExpertsConfig(), own.name)]
    held = getattr(model, "num_experts", None)
    without = f"set {TOGETHER}" if experts.mode == "together" else "leave it out"
    for name in given:
        if name != "mode" and (name not in READ[experts.mode] or (experts.mode == "together" and held is None)):
            modes = [mode for mode in READ if name in READ[mode] and mode != experts.mode]
            yield (
                f"experts.{name}: {getattr(experts, name)} would be unused with experts.mode={experts.mode}"
                f" and model.family={model.family}",
                f"{without}, or train a mixture with experts.mode={' or '.join(modes)}",
            )
    if experts.mode == "together":
        return
    if held is None:
        yield (
            f"experts.mode: {experts.mode} wants a mixture of experts, and model.family is {model.family}",
            f"choose a mixture, such as model.preset=tardbot/mac_mini, or {TOGETHER}",
        )
    elif experts.active >= held:
        yield (
            f"experts.active: {experts.active} is none of the {held} experts of model.num_experts",
            f"it may be 0 to {held - 1}",
        )


def refuse_weights(experts: ExpertsConfig) -> None:
    """Raise `LilliputError` (usage) where a run's first weights lie in a folder, and another run's were given."""
    if experts.mode != "together":
        raise LilliputError(
            f"experts.mode: {experts.mode} starts from the files of experts.folder, and --from names other weights",
            f"leave --from out, or set {TOGETHER}",
            Exit.USAGE,
        )


def architecture(model: Any, experts: ExpertsConfig) -> Any:
    """The settings of the model that is built: with one expert where they are trained one after the other."""
    return replace(model, num_experts=1, num_active_experts=1) if experts.mode == "sequential" else model


def pace(model: LanguageModel, experts: ExpertsConfig) -> Pace:
    """Freeze what a run does not train, and say how fast the rest learns.

    Raises `LilliputError` (recipe) where experts are to be trained by themselves and no layer has any.
    """
    parts, trunk = roles(model), experts.trunk_factor
    if experts.mode != "together" and not parts.layers:
        raise _no_layers(experts)
    still = set(parts.routers) if experts.mode == "sequential" else set[str]()  # one expert leaves no choice
    if trunk == 0:
        still |= parts.trunk
    for name, parameter in model.named_parameters():
        if name in still:
            parameter.requires_grad_(False)
    late = frozenset(parts.experts) if experts.mode == "assembled" else frozenset[str]()
    return Pace(dict.fromkeys(parts.trunk - still, trunk) if trunk != 1 else {}, late)


def place(experts: ExpertsConfig, facts: Mapping[str, Any]) -> Path:
    """Where the folder is: where it was when the run of these facts began, from wherever the run is resumed."""
    here, then = Path(experts.folder).expanduser(), facts.get("experts_folder")
    if then is None or (here.is_dir() and not Path(then).is_dir()):  # the whole work was moved
        return here.absolute()
    return Path(then)


def writing(folder: Path, experts: ExpertsConfig) -> AbstractContextManager[None]:
    """Keeps other runs from training the same; raises `LilliputError` (locked)."""
    if experts.mode != "sequential":
        return nullcontext()
    return reserved(folder, experts.active, trunk=experts.trunk_factor > 0)


def check(folder: ExpertFolder, experts: ExpertsConfig, *, whole: bool = True) -> None:
    """Raise what `pace` and `begin` would: a look before there is a run, for which a model without storage will do.

    Not `whole`: without hashing the files.
    """
    if not folder.roles.layers:
        raise _no_layers(experts)
    there = folder.experts()
    if experts.mode == "assembled":
        wanted = list(range(folder.model.config.num_experts))
        if absent := [number for number in wanted if number not in there]:
            raise LilliputError(
                f"experts.folder: {folder.path} lacks {_listed(absent)} of {len(wanted)}",
                f"train it first: experts.mode=sequential experts.active={absent[0]}",
                Exit.MISSING,
            )
        folder.check(wanted, whole=whole)
    elif experts.active or folder.has_trunk:
        folder.check([experts.active if experts.active in there else 0], whole=whole)


def begin(folder: ExpertFolder, optimizer: Optimizer, experts: ExpertsConfig, seed: int) -> list[str]:
    """Fill a new run's model and optimizer from the folder; says what was found.

    Raises `LilliputError` (missing) for a file that is not there, (content) for one of another model.
    """
    check(folder, experts, whole=False)  # each file is hashed when it is read
    if experts.mode == "assembled":
        return _assemble(folder, optimizer, seed)
    number = experts.active
    if number == 0 and not folder.has_trunk:
        return [f"{folder.path} holds no experts yet: expert 0 and the trunk start from the seed"]
    trunk = folder.read_trunk()
    if number in folder.experts():
        expert = folder.read_expert(number)
        fill(folder.model, optimizer, trunk.values | expert.values)
        optimizer.take(_trained(trunk.buffers | expert.buffers, optimizer), max(trunk.updates, expert.updates))
        return [f"expert {number} goes on from {folder.path}, after {expert.updates} updates"]
    fill(folder.model, optimizer, trunk.values | _shaken(folder.read_expert(0).values, experts, seed))
    optimizer.take(_trained(trunk.buffers, optimizer), trunk.updates)
    return [f"expert {number} starts as expert 0 of {folder.path}, with noise of {experts.noise:g}"]


def end(folder: ExpertFolder, optimizer: Optimizer, experts: ExpertsConfig) -> list[str]:
    """Put what a finished sequential run has trained into the folder; says what is there now."""
    folder.write(experts.active, optimizer, trunk=experts.trunk_factor > 0 or not folder.has_trunk)
    return [f"expert {experts.active} is in {folder.path}", *_apart(folder)]


def is_done(folder: ExpertFolder, optimizer: Optimizer, experts: ExpertsConfig) -> bool:
    """Whether the folder holds what a finished run has trained, or what later runs have made of that."""
    return folder.holds(experts.active, optimizer.updates, trunk=experts.trunk_factor > 0)


def _assemble(folder: ExpertFolder, optimizer: Optimizer, seed: int) -> list[str]:
    model = folder.model
    each = [folder.read_expert(number).values for number in range(model.config.num_experts)]
    values = folder.read_trunk().values
    values |= {name: torch.cat([expert[name] for expert in each]) for name in folder.roles.experts}
    generator, parameters = torch.Generator().manual_seed(seed), dict(model.named_parameters())
    for name in sorted(folder.roles.routers):
        values[name] = torch.randn(parameters[name].shape, generator=generator) * ROUTER_DEVIATION
    fill(model, optimizer, values)
    return [f"{len(each)} experts assembled from {folder.path}", *_apart(folder)]


def _no_layers(experts: ExpertsConfig) -> LilliputError:
    cause = f"experts.mode: {experts.mode} wants a mixture of experts, and no layer of this model has any"
    return LilliputError(cause, f"let fewer layers be dense, or set {TOGETHER}", Exit.RECIPE)


def _listed(numbers: Sequence[int]) -> str:
    return f"expert{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _trained(buffers: Mapping[str, Tensor], optimizer: Optimizer) -> dict[str, Tensor]:
    """The buffers of what this run updates: a frozen trunk's stay in its file."""
    return {key: value for key, value in buffers.items() if key.rpartition("/")[0] in optimizer.weights.named}


def _shaken(values: Mapping[str, Tensor], experts: ExpertsConfig, seed: int) -> dict[str, Tensor]:
    """Values with noise that depends on seed and expert."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + experts.active) % 2**63)
    return {
        name: value + torch.randn(value.shape, generator=generator) * value.std(correction=0) * experts.noise
        for name, value in values.items()
    }


def _apart(folder: ExpertFolder) -> list[str]:
    found = folder.distances(folder.experts())
    words = ", ".join(f"{one} and {other} by {value:.3f}" for (one, other), value in found.items())
    return [f"experts differ, in lengths of their weights: {words}"] if words else []
