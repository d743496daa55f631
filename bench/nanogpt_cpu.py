"""Seconds to 1.88 nats per character on tiny Shakespeare: `lab/shakespeare` beside nanoGPT's recipe for a CPU, in turn.

`LILLIPUT_DATA=FOLDER python -m bench.nanogpt_cpu` trains both in the same loop, precision and threads, everything
recorded; ours ends when it has passed, the other when it has passed or at its end. Exits with 1 above the limit.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench.course import Course, follow
from bench.ratio import ratio

OURS, THEIRS = "lab/shakespeare", "bench/nanogpt_cpu"
NATS, LIMIT = 1.88, 0.40
RHYTHM = {
    OURS: ["rhythm.log_every=5", "rhythm.validate_every=20"],
    THEIRS: ["rhythm.log_every=10", "rhythm.validate_every=50"],
}
"""About two seconds of training between validations of either, which do not count."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", help="a folder in which the runs stay; else they are removed")
    parser.add_argument("--set", nargs="*", default=[], help="further key=value words for both")
    wanted = parser.parse_args()
    print("| recipe | seed | updates | nats per character | seconds of training | passed |")
    print("|---|---|---|---|---|---|", flush=True)
    seconds: dict[str, list[float]] = {OURS: [], THEIRS: []}
    means: list[str] = []
    has_passed = True
    with tempfile.TemporaryDirectory() as folder:
        place = Path(wanted.runs or folder).resolve()
        for seed in range(1, wanted.seeds + 1):
            for recipe in (OURS, THEIRS):
                words = [*RHYTHM[recipe], *wanted.set, *means, f"seed={seed}"]
                course = follow(recipe, words, str(place / f"{recipe.replace('/', '-')}-{seed}"), until=NATS)
                means = means or same_means(course)
                seconds[recipe].append(reached(course))
                has_passed &= recipe == THEIRS or course.passes(NATS) is not None
                print(row(recipe, seed, course), flush=True)
    found = ratio(seconds, OURS, THEIRS)
    print(f"{found} of the time (limit {LIMIT:.2f}), {' '.join(means)}")
    sys.exit(found.value > LIMIT or not has_passed)


def same_means(course: Course) -> list[str]:
    """The words that make another run compute as this one was calibrated to."""
    training = json.loads(course.run.config.read_text(encoding="utf-8"))["training"]
    return [f"training.{key}={training[key]}" for key in ("precision", "threads")]


def reached(course: Course) -> float:
    """Seconds to the first validation that passes, or to the end."""
    point = course.passes(NATS)
    return point.seconds if point else course.seconds


def row(recipe: str, seed: int, course: Course) -> str:
    best = course.passes(NATS) or course.points[-1]
    cells = [recipe, f"{seed}", f"{best.step:,}", f"{best.nats:.4f}", f"{best.seconds:.1f}"]
    return f"| {' | '.join([*cells, 'yes' if best.nats <= NATS else 'no'])} |"


if __name__ == "__main__":
    main()
