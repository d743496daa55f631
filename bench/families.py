"""All families on the same text with the same floating-point work: bits per byte over seeds, as a table.

`python -m bench.families --work 2.4e13` trains `bench/families/*` (a run per family and seed, below `--runs`; what is
there already is not trained again), evaluates each on the held-out part and prints the table for `docs/benchmarks.md`.
Work counts the formula of each family, three forward passes an update; for H-Net at its target chunk rates.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev

from lilliput.models.weights import outline
from lilliput.stages.evaluate import Evaluation, evaluate
from lilliput.stages.recipe import Recipe, names, read_recipe
from lilliput.training.meter import PASSES

FOLDER = "bench/families"
VOCABULARY = 256
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""97.5 % points of Student's t for a mean of so many values."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=float, default=2.4e13, help="floating-point operations of each run")
    parser.add_argument("--data", default="tales", help="a corpus with bytes of text")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="families, divided by commas")
    parser.add_argument("--runs", default="runs/families", help="where the runs lie")
    parser.add_argument("--set", nargs="*", default=[], help="further key=value words")
    wanted = parser.parse_args()
    os.environ["LILLIPUT_RUNS"] = str(Path(wanted.runs).resolve())
    known = [name.removeprefix(f"{FOLDER}/") for name in names() if name.startswith(FOLDER)]
    families = [name for name in wanted.only.split(",") if name] or known
    print("| family | parameters | per token, forward | updates | s, training | bits per byte by seed | mean, 95 % |")
    print("|---|---|---|---|---|---|---|")
    for family in families:
        words = [f"data.sources={wanted.data}", *wanted.set]
        found = [run(family, seed, wanted.data, wanted.work, words) for seed in range(1, wanted.seeds + 1)]
        print(row(family, read_recipe(f"{FOLDER}/{family}", words), found), flush=True)
    for baseline in baselines(f"{wanted.data}-{families[0]}-1"):
        print(baseline)


def updates(recipe: Recipe, work: float) -> int:
    """Updates that cost so much work."""
    model, training = outline(recipe.model, VOCABULARY), recipe.training
    tokens = training.batch_size * training.context_length
    return round(work / (PASSES * model.flops_per_token(training.context_length) * tokens))


def run(family: str, seed: int, data: str, work: float, words: list[str]) -> tuple[Evaluation, float]:
    """One run to its end, evaluated; and its seconds of training."""
    recipe, name = f"{FOLDER}/{family}", f"{data}-{family}-{seed}"
    steps = updates(read_recipe(recipe, words), work)
    command = [sys.executable, "-m", "lilliput", "train", recipe, *words, f"seed={seed}"]
    subprocess.run(
        [*command, f"training.length={{steps: {steps}}}", "--run", name, "--resume"], check=True, stdout=sys.stderr
    )
    log = Path(os.environ["LILLIPUT_RUNS"], name, "metrics.jsonl").read_text().splitlines()
    seconds = max(line.get("seconds", 0.0) for line in map(json.loads, log))
    return next(evaluate(name, orders=())), seconds


def row(family: str, recipe: Recipe, found: list[tuple[Evaluation, float]]) -> str:
    model = outline(recipe.model, VOCABULARY)
    values = [evaluation.report.bpb.value for evaluation, _ in found]
    spread = STUDENT[len(values)] * stdev(values) / len(values) ** 0.5 if len(values) in STUDENT else None
    middle = f"{mean(values):.3f}" + (f" ± {spread:.3f}" if spread is not None else "")
    cells = [
        family,
        f"{sum(p.numel() for p in model.parameters()):,}",
        f"{model.flops_per_token(recipe.training.context_length):,}",
        found[0][0].model.rpartition("@")[2],
        ", ".join(f"{seconds:.0f}" for _, seconds in found),
        ", ".join(f"{value:.3f}" for value in values),
        middle,
    ]
    return f"| {' | '.join(cells)} |"


def baselines(name: str) -> Iterator[str]:
    """N-grams and, where it is known, the entropy of the same held-out text."""
    for baseline in next(evaluate(name, orders=(4, 5, 7))).baselines[1:]:
        yield f"| {baseline.name} | | | | | | {baseline.bpb.value:.3f} |"


if __name__ == "__main__":
    main()
