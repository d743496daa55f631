"""Events as a person sees them: a bar on a terminal, time-stamped lines elsewhere."""

import os
import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from lilliput.cli.corpus_look import beginning_of
from lilliput.cli.terminal import note, printable, say
from lilliput.corpus.watching import Work, watched
from lilliput.evals.score import perplexity
from lilliput.stages.events import Event, Finished, Preparing, Sampled, Stepped, Told, line, stamped

EVERY = 5.0
"""Seconds of preparing between two lines, where no bar is drawn; what takes less has none."""
BAR = 30
"""Columns that are kept for a bar and its eta."""


def show(events: Iterable[Event]) -> Finished | None:
    """Print events, and long work before them, to stderr as they come; return the one that says how training ended."""
    if _can_draw():
        with _progress() as bar, watched(_Bars(bar)):
            return _bar(events, bar)
    with watched(_Lines()):
        return _lines(events)


@contextmanager
def preparing() -> Iterator[None]:
    """While this holds, long work on text is shown: by a bar on a terminal, now and then by a line elsewhere."""
    if _can_draw():
        with _progress() as bar, watched(_Bars(bar)):
            yield
    else:
        with watched(_Lines()):
            yield


def _can_draw() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def _preparing(work: Work) -> Preparing:
    files = (work.done, work.files) if work.files else None
    return Preparing(work.name, files, (work.documents, work.total), work.bytes, work.seconds)


class _Lines:
    """Work that takes long has a line now and then, and one at its end."""

    def __init__(self) -> None:
        self.last, self.told = monotonic(), set[Work]()

    def __call__(self, work: Work) -> None:
        if monotonic() - self.last >= EVERY or (work.is_over and work in self.told):
            note(stamped(_preparing(work)))
            self.last = monotonic()
            self.told.add(work)


class _Bars:
    """Work that goes on has a bar."""

    def __init__(self, bar: Progress) -> None:
        self.bar, self.tasks = bar, dict[Work, TaskID]()

    def __call__(self, work: Work) -> None:
        if work.is_over:
            if work in self.tasks:
                self.bar.remove_task(self.tasks.pop(work))
            return
        event = _preparing(work)
        room = self.bar.console.width - BAR - len(f" {event.rate} {event.counts}")
        words = f"{beginning_of(printable(event.doing), room)} {event.rate}"
        done, total = (work.documents, work.total) if work.total else (work.done, work.files or None)
        if work in self.tasks:
            task = self.tasks[work]
            self.bar.update(task, description=words, completed=done, total=total, counts=event.counts)
        else:
            self.tasks[work] = self.bar.add_task(words, completed=done, total=total, counts=event.counts)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[counts]}"),
        TextColumn("eta"),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
        speed_estimate_period=60,
    )


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


def _bar(events: Iterable[Event], bar: Progress) -> Finished | None:
    last, console = None, bar.console
    task: TaskID | None = None
    for event in events:
        if isinstance(event, Told):
            bar.stop()
            _tell(event)
            bar.start()
        elif isinstance(event, Stepped):
            if task is None:
                task = bar.add_task("training", total=event.total, counts="")
            rate = f" {event.clock['tokens_per_s']:,.0f} tok/s" if "tokens_per_s" in event.clock else ""
            text = f"loss {event.loss:.4f} ppl {perplexity(event.loss):.2f}{rate}"
            counts = f"{event.step}/{event.total}"
            bar.update(task, completed=event.step, total=event.total, description=text, counts=counts)
        elif isinstance(event, Sampled):
            # One print: the bar would be drawn over a line that is left open.
            said = printable(event.prompt + event.text)
            console.print(Text.assemble((f"step {event.step} ", "dim"), (said, "italic")))
        else:
            console.print(printable(line(event)), markup=False)
        last = event if isinstance(event, Finished) else last
    return last
