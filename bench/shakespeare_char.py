"""Tiny Shakespeare by character: nats on its whole last tenth and seconds of training, over three seeds.

`LILLIPUT_DATA=FOLDER python -m bench.shakespeare_char` trains `lab/shakespeare` through the loop of `lilliput train`,
everything recorded. Validation, samples and saves stand between updates and do not count as training. Exits with 1
where a seed misses a limit.
"""

import argparse
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.course import follow
from lilliput.models.weights import outline
from lilliput.stages.evaluate import evaluate
from lilliput.stages.recipe import read_recipe

RECIPE = "lab/shakespeare"
PARAMETERS, NATS, SECONDS = 810_000, 1.50, 300.0
AIM_NATS, AIM_SECONDS = 1.47, 180.0
CHARACTERS = 1_115_394
"""Of the whole text, whose last tenth no run is trained on."""


@dataclass(frozen=True)
class Result:
    seed: int
    updates: int
    seconds: float
    nats: float
    low: float
    high: float

    @property
    def is_met(self) -> bool:
        return self.nats <= NATS and self.seconds <= SECONDS

    def __str__(self) -> str:
        cells = [f"{self.seed}", f"{self.updates:,}", f"{self.nats:.4f} ({self.low:.4f} to {self.high:.4f})"]
        return f"| {' | '.join([*cells, f'{self.seconds:.1f}', 'yes' if self.is_met else 'no'])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", help="a folder in which the runs stay; else they are removed")
    parser.add_argument("--set", nargs="*", default=[], help="further key=value words")
    wanted = parser.parse_args()
    model = outline(read_recipe(RECIPE, wanted.set).model, 256)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{RECIPE}: {count:,} parameters (limit {PARAMETERS:,})", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(wanted.runs or folder).resolve()
        results = [train(seed, place, wanted.set) for seed in range(1, wanted.seeds + 1)]
    print("| seed | updates | nats per character, last tenth (95 %) | seconds of training | within the limits |")
    print("|---|---|---|---|---|")
    print("\n".join(map(str, results)))
    print(f"limits: {NATS} nats in {SECONDS:.0f} s; aim: {AIM_NATS} in {AIM_SECONDS:.0f} s, ", end="")
    aimed = sum(result.nats <= AIM_NATS and result.seconds <= AIM_SECONDS for result in results)
    print(f"reached by {aimed} of {len(results)}")
    sys.exit(count > PARAMETERS or not all(result.is_met for result in results))


def train(seed: int, place: Path, words: list[str]) -> Result:
    """One run to its end; its newest checkpoint evaluated as `lilliput evaluate` does it."""
    course = follow(RECIPE, [*words, f"seed={seed}"], str(place / f"char-{seed}"))
    report = next(evaluate(str(course.run.path), orders=())).report
    if report.bytes < CHARACTERS // 10:
        raise SystemExit(f"{report.bytes:,} characters were held out, a tenth are {CHARACTERS // 10:,}")
    low, high = report.bpb.low or math.nan, report.bpb.high or math.nan
    nats = [value * math.log(2) for value in (report.bpb.value, low, high)]
    result = Result(seed, course.updates, course.seconds, *nats)
    print(result, file=sys.stderr, flush=True)
    return result


if __name__ == "__main__":
    main()
