"""A run begun, resumed, or branched off another: what it is, checked and written down before it trains."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

from lilliput import tokens
from lilliput.config import load as config
from lilliput.config.differences import differences
from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Resume
from lilliput.runs import checkpoints, durable
from lilliput.runs.run import Run, resolve
from lilliput.stages.events import Event, Warned, stamped
from lilliput.stages.prepare import Data, prepare
from lilliput.stages.pretrain import pretrain
from lilliput.stages.recipe import Recipe, find_recipe, read_recipe, recipe_from
from lilliput.stages.tokenizer import open_tokenizer, remarks
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.training import calibration, parallel
from lilliput.training.precision import check

AUTO = ("device", "micro_batch_size", "precision", "threads")
"""Training settings that are resolved once per run and kept in its configuration."""


@dataclass(frozen=True)
class Parent:
    """Where a run's first state comes from; kept in its manifest."""

    run: str
    step: int
    checkpoint: str
    how: Literal["resume", "weights"]


def train_run(run: Run, word: str, overrides: Sequence[str] = (), weights: str | None = None) -> Iterator[Event]:
    """Train in a run whose lock is held: `word` is a recipe, the run itself, or with `@` the parent to go on from."""
    if run.is_new:
        recipe, parent = _new_recipe(word, overrides, weights)
        tokenizer = open_tokenizer(recipe.tokenizer, recipe.data)
        recipe = replace(recipe, training=calibration.resolved(recipe.training, recipe.model, tokenizer.size))
        data = prepare(recipe.data, recipe.validation, tokenizer)
        _describe(run, word, recipe, tokenizer, data, parent)
        notes = list(remarks(tokenizer))
    else:
        recipe, notes = _stored_recipe(run, word, overrides)
        tokenizer = tokens.load(run.tokenizer)
        data = prepare(recipe.data, recipe.validation, tokenizer)
        _refuse_other_data(run, data)
        notes += _contract_notes(run, recipe)
    warnings = (Warned(note) for note in notes)
    yield from logged(run.train_log, chain(warnings, pretrain(run, recipe, tokenizer, data)))


def logged(path: Path, events: Iterable[Event]) -> Iterator[Event]:
    """The events as they come, each written to the log first."""
    log = durable.Appender(path)
    try:
        for event in events:
            log.write(f"{stamped(event)}\n".encode("utf-8", "backslashreplace"))
            yield event
    finally:
        log.close()


def _new_recipe(word: str, overrides: Sequence[str], weights: str | None) -> tuple[Recipe, Parent | None]:
    """The recipe of a new run and the state it starts from, if not from nothing."""
    if "@" in word and not Path(word).exists():
        origin, path = resolve(word)
        assert origin is not None  # a word with `@` names a run
        recipe, _ = _stored_recipe(origin, word, overrides)
        return recipe, _parent(origin, path, "resume")
    recipe = read_recipe(word, overrides)
    if weights is None:
        return recipe, None
    origin, path = resolve(weights)
    return recipe, _parent(origin, path, "weights")


def _parent(run: Run | None, path: Path, how: Literal["resume", "weights"]) -> Parent:
    step = int(checkpoints.read_manifest(path)["step"])
    return Parent(run.id if run else "", step, str(path.absolute()), how)


def _describe(run: Run, word: str, recipe: Recipe, tokenizer: Tokenizer, data: Data, parent: Parent | None) -> None:
    """Write what the run is; with its manifest, the last file, there is a run."""
    if run.tokenizer.exists():  # a process that was killed left it, perhaps for another recipe
        durable.remove_tree(run.tokenizer)
    tokenizer.save(run.tokenizer)
    tree = config.dump(recipe)
    given = Path(word).is_file() or "@" not in word
    run.write_recipe(find_recipe(word).read_text(encoding="utf-8") if given else json.dumps(tree, indent=1))
    run.write_config(tree)
    run.write_manifest(
        parent=asdict(parent) if parent else None,
        tokenizer=tokenizer.fingerprint,
        data=data.names(),
        contract=_contract(recipe),
    )


def _stored_recipe(run: Run, word: str, overrides: Sequence[str]) -> tuple[Recipe, list[str]]:
    """The run's configuration with what may change taken over; raises with every difference that may not."""
    tree = json.loads(run.config.read_text(encoding="utf-8"))
    stored = recipe_from(tree, str(run.config))
    if _names(word, run):
        given = recipe_from(config.merge(tree, overrides), word)
    else:
        given = read_recipe(word, overrides)
        kept = {name: getattr(stored.training, name) for name in AUTO if getattr(given.training, name) == "auto"}
        given = replace(given, training=replace(given.training, **kept))
    found = differences(Recipe, config.dump(stored), config.dump(given))
    refused = [d for d in found if d.resume in (Resume.SEMANTIC, Resume.FATAL)]
    if refused:
        lines = "; ".join(f"{d.key} is {d.old!r} in the run and {d.new!r} now ({d.resume.value})" for d in refused)
        raise LilliputError(
            f"{run.name} cannot be resumed with another recipe: {lines}",
            "leave these as they are, or start a new run (`--from` takes over the weights)",
            Exit.CONTENT,
        )
    if found and run.lock.is_held:
        run.write_config(config.dump(given))
    return given, [f"{d.key}: {d.old!r} -> {d.new!r}" for d in found if d.resume is Resume.SAFE]


def _names(word: str, run: Run) -> bool:
    """True if `word` is the run itself, by name, path or `run@step`."""
    name = word.rpartition("@")[0] if "@" in word else word
    return name in (run.name, str(run.path)) or Path(name).absolute() == run.path.absolute()


def _refuse_other_data(run: Run, data: Data) -> None:
    if run.facts.get("data", data.names()) != data.names():
        raise LilliputError(
            f"the text of {run.name} is not what it was when the run began",
            "restore the files, or start a new run (`--from` takes over the weights)",
            Exit.CONTENT,
        )


def _contract(recipe: Recipe) -> parallel.Facts:
    training = recipe.training
    device, means = parallel.choose_device(training.device), training.means
    return parallel.contract(
        device=device,
        precision=check(means.precision, device),
        threads=means.threads,
        micro_batch_size=means.micro_batch_size,
        deterministic=training.deterministic,
        compiled=training.compile,
    )


def _contract_notes(run: Run, recipe: Recipe) -> list[str]:
    lines = parallel.contract_differences(run.facts.get("contract", {}), _contract(recipe))
    return [f"not bit for bit the same run from here on: {line}" for line in lines]
