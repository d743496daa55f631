"""Events as a person sees them: a bar on a terminal, time-stamped lines elsewhere."""

import os
import sys
import textwrap
from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from lilliput.cli.terminal import printable, say
from lilliput.evals.score import perplexity
from lilliput.stages.events import Event, Finished, Sampled, Stepped, Told, line, stamped


def show(events: Iterable[Event]) -> Finished | None:
    """Print events to stderr as they come; return the one that says how training ended."""
    can_draw = sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    return _bar(events) if can_draw else _lines(events)


def _lines(events: Iterable[Event]) -> Finished | None:
    last = None
    for event in events:
        if isinstance(event, Told):
            _tell(event)
        else:
            print(printable(stamped(event)), file=sys.stderr, flush=True)
        last = event if isinstance(event, Finished) else last
    return last


def _tell(event: Told) -> None:
    """A passage as data: indented under its heading, and broken at 80 columns."""
    say(f"\n{event.heading}\n")
    for paragraph in event.text.split("\n"):
        indent = "    " if paragraph.startswith("  ") else "  "
        lines = [paragraph] if paragraph.startswith("  ") else textwrap.wrap(paragraph, 76) or [""]
        for row in lines:
            say(f"{indent}{row}".rstrip())


def _bar(events: Iterable[Event]) -> Finished | None:
    console = Console(stderr=True, highlight=False)
    columns = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("eta"),
        TimeRemainingColumn(),
    ]
    last = None
    with Progress(*columns, console=console, transient=True, speed_estimate_period=60) as bar:
        task: TaskID | None = None
        for event in events:
            if isinstance(event, Told):
                bar.stop()
                _tell(event)
                bar.start()
            elif isinstance(event, Stepped):
                if task is None:
                    task = bar.add_task("training", total=event.total)
                rate = f" {event.clock['tokens_per_s']:,.0f} tok/s" if "tokens_per_s" in event.clock else ""
                text = f"loss {event.loss:.4f} ppl {perplexity(event.loss):.2f}{rate}"
                bar.update(task, completed=event.step, total=event.total, description=text)
            elif isinstance(event, Sampled):
                # One print: the bar would be drawn over a line that is left open.
                said = printable(event.prompt + event.text)
                console.print(Text.assemble((f"step {event.step} ", "dim"), (said, "italic")))
            else:
                console.print(printable(line(event)), markup=False)
            last = event if isinstance(event, Finished) else last
    return last
