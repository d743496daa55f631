"""The tour: a corpus, a tokenizer, a training, a measurement and a sample, one after the other, told as it goes."""

from collections.abc import Iterator
from itertools import islice

from lilliput.inference.generate import stream
from lilliput.inference.sampling import SamplingConfig
from lilliput.runs import stop
from lilliput.runs.run import Run
from lilliput.stages.begin import train_run
from lilliput.stages.evaluate import Evaluation, evaluate
from lilliput.stages.events import Event, Told
from lilliput.stages.opened import open_model
from lilliput.stages.prepare import texts
from lilliput.stages.recipe import read_recipe
from lilliput.tokens import load

RECIPE = "tour"
ORDERS = (3, 5)


def tour(run: Run) -> Iterator[Event]:
    """Everything the first hour needs to know, on a text that was written for it; no network is used."""
    recipe = read_recipe(RECIPE)
    tale = next(text for _, text in islice(texts(recipe.data.sources, recipe.data, "train"), 1))
    yield Told("1  the text", f"Lilliput wrote these tales itself, so their entropy is known. One of them:\n\n{tale}")
    yield Told(
        "2  the training",
        f"One file decides everything, the recipe `{RECIPE}`; `lilliput config explain` says what a key means.",
    )
    yield from train_run(run, RECIPE)
    if stop.requested():
        return
    tokenizer = load(run.tokenizer)
    words = tale.split(". ")[0]
    pieces = " ".join(f"[{tokenizer.decode([i])}]" for i in tokenizer.encode(words))
    yield Told("3  the tokens", f"A tokenizer of {tokenizer.size:,} pieces was trained first. It reads:\n\n{pieces}")
    yield Told("4  the measure", "\n".join(_measured(next(evaluate(run.name, orders=ORDERS)))))
    yield Told("5  the writing", f"Temperature 0.7, nothing but a beginning given:\n\n{_written(run)}")
    yield Told("6  where to go next", "\n".join(_next(run)))


def _measured(found: Evaluation) -> Iterator[str]:
    """Bits per byte of the model between what is easy and what is possible, worst first."""
    rows = [(b.name, b.bpb.value) for b in found.baselines] + [("this model", found.report.bpb.value)]
    yield "Bits per byte of tales that nobody trained on; lower is better:"
    yield ""
    for name, value in sorted(rows, key=lambda row: -row[1]):
        yield f"  {name:<12} {value:6.3f}"
    yield ""
    yield "An n-gram counts which letter follows which. Nothing can be below the entropy on average."


def _written(run: Run) -> str:
    opened = open_model(run.name)
    config = SamplingConfig(temperature=0.7, max_tokens=160, seed=1)
    return "".join(piece.text for piece in stream(opened.model, opened.tokenizer, ["In"], config)).strip()


def _next(run: Run) -> Iterator[str]:
    name = run.name
    yield f"  lilliput generate {name} --interactive     talk to what you trained"
    yield "  lilliput train lab/nano data.sources=my.txt     train on a text of your own"
    yield f"  lilliput runs show {name}                  what the run holds"
    yield "  docs/start.md                              the first hour, step by step"
