"""`lilliput runs`: list runs with their true status, show one, verify every byte of one."""

import textwrap
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from lilliput.cli.parsing import group
from lilliput.cli.terminal import note, say, say_json, say_table
from lilliput.config.errors import Exit

WIDTH = 80
"""Columns of a page."""
WHOLE_WORDS: Any = {"break_long_words": False, "break_on_hyphens": False}

app = group("List runs, show one, verify one.", example="lilliput runs list")

Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]
Word = Annotated[str, typer.Argument(metavar="RUN", help="a run's name, or the path of its directory")]


@app.command("list")
def list_runs(json: Json = False) -> None:
    """Every run with its status, last step and last loss.

    Example: lilliput runs list --json
    """
    from lilliput.runs.ledger import listing
    from lilliput.runs.run import runs_root

    entries = listing(runs_root())
    if json:
        say_json([asdict(entry) for entry in entries])
        return
    if not entries:
        note(f"no runs in {runs_root()}")
        return
    rows = [(entry.name, entry.status, entry.step, _decimals(entry.loss), _day(entry.created)) for entry in entries]
    say_table(("run", "status", "step", "loss", "begun"), rows)
    for entry in entries:
        if entry.problem:
            note(f"{entry.name}: {entry.problem}")


@app.command()
def show(run: Word, json: Json = False) -> None:
    """One run: its status, checkpoints, what made it, and how it ended.

    Example: lilliput runs show lab-verdict
    """
    from lilliput.runs.ledger import entry
    from lilliput.runs.run import Run

    opened = Run.open(run)
    found: dict[str, Any] = {**asdict(entry(opened)), **asdict(opened.state), "made": opened.facts}
    if json:
        say_json(found)
        return
    del found["made"]
    found |= {"loss": _decimals(found["loss"]), "created": _day(found["created"])}
    for name, value in {**opened.facts, **found}.items():
        if value not in ("", None):
            for row in textwrap.wrap(f"{name:<12}{_line(value)}", WIDTH, subsequent_indent=" " * 12, **WHOLE_WORDS):
                say(row)


@app.command()
def verify(run: Word, json: Json = False) -> Exit | None:
    """Hash every checkpoint again and check the logs; exit code 65 if anything is not as it was written.

    Example: lilliput runs verify lab-verdict
    """
    from lilliput.runs.audit import verify_run
    from lilliput.runs.run import Run

    findings = verify_run(Run.open(run))
    if json:
        say_json({"run": run, "findings": findings})
    else:
        say("\n".join(findings) or f"{run}: every byte is as it was written")
    return Exit.CONTENT if findings else None


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _day(moment: float | None) -> str:
    return "" if moment is None else datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M")


def _line(value: Any) -> str:
    if isinstance(value, dict):
        known = {**value, **({"time": _day(value["time"])} if "time" in value else {})}
        return ", ".join(f"{name} {_line(entry)}" for name, entry in known.items() if entry not in ("", None))
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
