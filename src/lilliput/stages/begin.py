"""A run begun, resumed, or branched off another: what it is, checked and written down before it trains."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

from lilliput import tokens
from lilliput.config import load as config
from lilliput.config.differences import Difference, differences
from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Resume
from lilliput.models.weights import outline
from lilliput.runs import checkpoints, durable
from lilliput.runs.damage import Damaged
from lilliput.runs.run import Run, resolve
from lilliput.stages import experts
from lilliput.stages.events import Event, Noted, Warned, stamped
from lilliput.stages.prepare import Data, prepare
from lilliput.stages.pretrain import build, length, pretrain, room
from lilliput.stages.recipe import Recipe, find_recipe, read_recipe, recipe_from
from lilliput.stages.tokenizer import open_tokenizer, remarks
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.training import calibration, checkpoint, parallel
from lilliput.training.expert_files import ExpertFolder
from lilliput.training.precision import check

AUTO = ("device", "expert_dispatch", "micro_batch_size", "precision", "threads")
"""Training settings whose `auto`, in a recipe that resumes a run, means what the run has."""

TAGS = (".family", ".kind")
"""Keys that decide which other keys their section has."""


@dataclass(frozen=True)
class Parent:
    """Where a run's first state comes from; kept in its manifest."""

    run: str
    step: int
    checkpoint: str
    how: Literal["resume", "weights"]


def train_run(run: Run, word: str, overrides: Sequence[str] = (), weights: str | None = None) -> Iterator[Event]:
    """Train in a run whose lock is held: `word` is a recipe, the run itself, or with `@` the parent to go on from.

    Nothing is written before all that may be refused has been looked at.
    """
    origin, parent = _origin(run, word, weights)
    changes: list[Difference] = []
    if origin is None:
        recipe = read_recipe(word, overrides)
        tokenizer = open_tokenizer(recipe.tokenizer, recipe.data)
        recipe = replace(recipe, training=calibration.resolved(recipe.training, recipe.architecture, tokenizer.size))
        data = prepare(recipe.data, recipe.validation, tokenizer)
        told: list[Event] = [Warned(remark) for remark in (*remarks(tokenizer), *data.remarks())]
    else:
        recipe, changes = _stored_recipe(origin, word, overrides)
        tokenizer = tokens.load(origin.tokenizer)
        data = prepare(recipe.data, recipe.validation, tokenizer)
        _refuse_other_data(origin, data)
        told = [Noted(note) for note in _change_notes(changes)]
        told += [Warned(note) for note in _contract_notes(origin, recipe)]
    if parent and origin is None:
        experts.refuse_weights(recipe.experts)
        vocab = tokenizer.size
        checkpoint.check(Path(parent.checkpoint), recipe.model.family, vocab, tokenizer.fingerprint)
    folder = experts.place(recipe.experts, origin.facts if origin else {})
    if origin is None and recipe.experts.mode != "together":
        model = outline(recipe.architecture, tokenizer.size)
        experts.check(ExpertFolder(folder, model, tokenizer.fingerprint), recipe.experts)
    with experts.writing(folder, recipe.experts):
        facts = {"shares": origin.facts.get("shares", "windows") if origin else "tokens"}
        parts = build(recipe, tokenizer, data, by_windows=facts["shares"] == "windows")
        total = (_known_length(origin) if origin else 0) or length(parts)
        needed = room(run, parts, total)
        if run.is_new:
            if recipe.experts.mode != "together":
                facts["experts_folder"] = str(folder)
            _describe(run, word, recipe, tokenizer, data, parent, facts)
        elif changes:
            run.write_config(config.dump(recipe))
        run.started()
        yield from logged(run.train_log, chain(told, pretrain(run, parts, total, needed)))


def logged(path: Path, events: Iterable[Event]) -> Iterator[Event]:
    """The events as they come, each written to the log first."""
    log = durable.Appender(path)
    try:
        for event in events:
            log.write(f"{stamped(event)}\n".encode("utf-8", "backslashreplace"))
            yield event
    finally:
        log.close()


def _origin(run: Run, word: str, weights: str | None) -> tuple[Run | None, Parent | None]:
    """The run whose recipe, tokenizer and text count, if one does; and where a new run's first state comes from."""
    if not run.is_new:
        return run, None
    if "@" in word and not Path(word).exists():
        if weights is not None:
            cause = f"`--from {weights}` takes weights alone, and `{word}` goes on from the whole state"
            raise LilliputError(cause, "give one of the two", Exit.USAGE)
        origin, path = resolve(word)
        return origin, _parent(origin, path, "resume")
    if weights is None:
        return None, None
    return None, _parent(*resolve(weights), "weights")


def _parent(run: Run | None, path: Path, how: Literal["resume", "weights"]) -> Parent:
    step, identity = int(checkpoints.read_manifest(path)["step"]), ""
    with suppress(Damaged):  # weights are whole by themselves
        identity = run.id if run else ""
    return Parent(identity, step, str(path.absolute()), how)


def _describe(
    run: Run,
    word: str,
    recipe: Recipe,
    tokenizer: Tokenizer,
    data: Data,
    parent: Parent | None,
    facts: Mapping[str, str],
) -> None:
    """Write what the run is; with its manifest, the last file, there is a run.

    `facts`: `shares` is what weights of sources are shares of, tokens, or windows in runs made before there was a
    choice; `experts_folder` is where experts lie that are trained one by one.
    """
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
        **facts,
    )


def _stored_recipe(run: Run, word: str, overrides: Sequence[str]) -> tuple[Recipe, list[Difference]]:
    """The run's configuration, with the changes that are taken over; raises with every one that may not be."""
    tree = run.read_config()
    stored = recipe_from(tree, str(run.config))
    if _names(word, run):
        given = recipe_from(config.merge(tree, overrides), word)
    else:
        given = read_recipe(word, overrides)
        kept = {name: getattr(stored.training, name) for name in AUTO if getattr(given.training, name) == "auto"}
        given = replace(given, training=replace(given.training, **kept))
    found = differences(Recipe, config.dump(stored), config.dump(given))
    refused = [d for d in _told(found) if d.resume in (Resume.SEMANTIC, Resume.FATAL)]
    if refused:
        lines = "; ".join(f"{d.key} is {d.old!r} in the run and {d.new!r} now ({d.resume.value})" for d in refused)
        raise LilliputError(
            f"{run.name} cannot be resumed with another recipe: {lines}",
            "leave these as they are, or start a new run (`--from` takes over the weights)",
            Exit.CONTENT,
        )
    return given, found


def _told(found: Sequence[Difference]) -> list[Difference]:
    """Without the keys of a section whose family or kind is another: they follow from it."""
    others = {d.key.rpartition(".")[0] for d in found if d.key.endswith(TAGS)}
    return [d for d in found if d.key.endswith(TAGS) or d.key.rpartition(".")[0] not in others]


def _change_notes(changes: Sequence[Difference]) -> list[str]:
    return [f"{change.key}: {change.old!r} -> {change.new!r}" for change in changes if change.resume is Resume.SAFE]


def _names(word: str, run: Run) -> bool:
    """True if `word` is the run itself, by name, path or `run@step`."""
    name = word.rpartition("@")[0] if "@" in word and not Path(word).exists() else word
    return name in (run.name, str(run.path)) or Path(name).absolute() == run.path.absolute()


def _refuse_other_data(run: Run, data: Data) -> None:
    if run.facts.get("data", data.names()) != data.names():
        raise LilliputError(
            f"the text of {run.name} is not what it was when the run began",
            "restore the files, or start a new run (`--from` takes over the weights)",
            Exit.CONTENT,
        )


def _known_length(run: Run) -> int:
    """Updates of a run that was begun, as its newest checkpoint has them, intact or not; 0 where nothing says."""
    for _, path in reversed(checkpoints.listing(run.checkpoints)):
        with suppress(OSError, ValueError, KeyError, TypeError):
            return int(json.loads((path / checkpoints.STATE).read_bytes())["total"])
    return 0


def _contract(recipe: Recipe) -> parallel.Facts:
    training = recipe.training
    device, means = parallel.choose_device(training.device), training.means
    return parallel.contract(
        device=device,
        precision=check(means.precision, device),
        threads=means.threads,
        micro_batch_size=means.micro_batch_size,
        experts=means.experts,
        deterministic=training.deterministic,
        compiled=training.compile,
    )


def _contract_notes(run: Run, recipe: Recipe) -> list[str]:
    lines = parallel.contract_differences(run.facts.get("contract", {}), _contract(recipe))
    return [f"not bit for bit the same run from here on: {line}" for line in lines]
