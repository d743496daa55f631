"""`lilliput evaluate`: a model's figures on held-out text, beside n-grams and, where it is known, the entropy."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from lilliput.cli.terminal import say, say_json, say_table
from lilliput.config.errors import Exit, LilliputError

if TYPE_CHECKING:
    from lilliput.evals.score import Figure
    from lilliput.stages.evaluate import Evaluation


def evaluate(
    model: Annotated[str, Argument(help="a run, `run@best`, `run@500`, or a checkpoint's folder")],
    data: Annotated[list[str] | None, Option(help="other text than the run's own: a corpus or a path")] = None,
    part: Annotated[str, Option(help="validation or test")] = "validation",
    ngrams: Annotated[str, Option(help="orders of the n-grams to compare with; empty for none")] = "3,5,7",
    max_batches: Annotated[int | None, Option(min=1, help="stop after this many batches of 8 windows")] = None,
    device: Annotated[str, Option(help="auto, cpu, cuda or mps")] = "auto",
    json: Annotated[bool, Option("--json", help="the figures for a program")] = False,
) -> None:
    """Measure loss, perplexity, bits per byte and accuracy, and compare with byte n-grams.

    Example: lilliput evaluate lab-verdict@best --ngrams 3,5
    """
    orders = _orders(ngrams)
    if part not in ("validation", "test"):
        raise LilliputError(f"--part: {part} is no part", "it may be validation or test", Exit.USAGE)
    from lilliput.stages.evaluate import evaluate as evaluations
    from lilliput.stages.evaluate import plain

    found = evaluations(model, data=data or [], part=part, orders=orders, max_batches=max_batches, device=device)
    if json:
        say_json([plain(evaluation) for evaluation in found])
        return
    for evaluation in found:
        _show(evaluation)


def _orders(words: str) -> list[int]:
    try:
        orders = [int(word) for word in words.split(",") if word.strip()]
    except ValueError:
        orders = [0]
    if any(order < 1 for order in orders):
        raise LilliputError(f"--ngrams: {words} is no list of orders", "write it as 3,5,7", Exit.USAGE)
    return orders


def _show(found: "Evaluation") -> None:
    report = found.report
    say(f"{found.model} on {found.text}: {report.targets:,} tokens, {report.bytes:,} bytes")
    say(f"{report.windows:,} windows of {found.context_length} tokens; intervals: 95 % bootstrap over windows")
    say()
    _table(
        "",
        [
            ("loss", report.loss, "nats per token"),
            ("ppl", report.ppl, "perplexity, exp(loss)"),
            ("bpb", report.bpb, "bits per byte"),
            ("accuracy", report.accuracy, "the likeliest token is right"),
            ("top-5", report.top5, "one of the five likeliest is"),
        ],
    )
    compared = [*((b.name, b.bpb, b.note) for b in found.baselines), ("this model", report.bpb, found.model)]
    _table("bits per byte", sorted(compared, key=lambda row: -row[1].value))


def _table(heading: str, rows: Sequence[tuple[str, "Figure", str]]) -> None:
    body = [(name, _number(figure.value), _interval(figure), note) for name, figure, note in rows]
    say_table((heading, "value", "interval", ""), body)
    say()


def _number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def _interval(figure: "Figure") -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"{_number(figure.low)} to {_number(figure.high)}"
