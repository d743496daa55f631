"""`lilliput train`: take a run's name and its lock first, then everything that costs time."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lilliput.cli import failure
from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import stop
from lilliput.runs.ledger import entry
from lilliput.runs.run import Run, default_name


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or path; with --resume a run will do.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings that win.")] = None,
    run: Annotated[str | None, typer.Option(help="Name or path of the run; by default the recipe's name.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run; start it if there is none.")] = False,
    weights: Annotated[
        str | None, typer.Option("--from", metavar="RUN@WHICH", help="Start from another run's weights alone.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the recipe and print the plan, no more.")] = False,
) -> int:
    """Train what a recipe describes, or go on where a run stopped.

    Example: lilliput train lab/nano data.sources=my.txt optim.lr=1e-3 --run mine
    """
    if dry_run:
        return _plan(recipe, list(overrides or ()))
    stop.install()
    taken = _take(recipe, run, resume)
    with recorded(taken):
        return _train(taken, recipe, list(overrides or ()), weights)


def _plan(recipe: str, overrides: list[str]) -> int:
    from lilliput.stages.plan import plan_lines
    from lilliput.stages.recipe import read_recipe

    for line in plan_lines(read_recipe(recipe, overrides)):
        print(line)
    return 0


def _take(recipe: str, name: str | None, resume: bool) -> Run:
    """The run to write to, with its lock."""
    parent, at, _ = ("", "", "") if Path(recipe).exists() else recipe.rpartition("@")
    if not resume:
        if at:
            raise LilliputError(f"`{recipe}` names a checkpoint", "go on from it with `--run NEW --resume`", Exit.USAGE)
        return Run.begin(name, default=default_name(recipe))
    if at:
        if name is None or name == parent:
            cause = "a run is never taken back in place"
            raise LilliputError(cause, f"name a new one: `--run NEW` goes on from {recipe}", Exit.USAGE)
        return Run.begin(name, resume=True)
    if name is None:
        name = recipe if Run.exists(recipe) else default_name(recipe)
    return Run.begin(name, resume=True)


def _train(run: Run, recipe: str, overrides: list[str], weights: str | None) -> int:
    print(f"run {run.name} in {run.path}", file=sys.stderr)
    from lilliput.cli.progress import show
    from lilliput.stages.begin import train_run

    finished = show(train_run(run, recipe, overrides, weights))
    requested = stop.requested()
    if finished and finished.reason == "stopped" and requested:
        run.ended(requested, finished.step, "stopped on request")
        print(f"hint: `lilliput train {run.name} --resume` goes on from here", file=sys.stderr)
        return int(requested)
    run.ended(0, finished.step if finished else 0)
    return 0


@contextmanager
def recorded(run: Run) -> Iterator[None]:
    """What goes wrong inside stands in the run, under the exit code of the command; at last the lock is given back.

    A new run that was refused is removed; one whose resume was refused stays as it was.
    """
    try:
        yield
    except BaseException as error:
        if run.has_started:
            _record(run, error)
        raise
    finally:
        run.abandon()


def _record(run: Run, error: BaseException) -> None:
    failed = failure(error)
    code, cause = (failed.code, failed.cause.split("\n")[0]) if failed else (Exit.INTERRUPTED, "stopped")
    try:
        run.ended(code, entry(run).step, cause)
    except (OSError, LilliputError) as second:  # a full disk has its own word already
        print(f"warning: how the run ended could not be recorded: {second}", file=sys.stderr)
