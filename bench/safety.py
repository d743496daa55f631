"""What safety costs a model of 10M parameters: how long a save stops training, its share of the work, and recovery.

`python -m bench.safety` trains `modern/10m` on tales with a checkpoint every `--every` updates and reads the run's own
counters; the share is for a checkpoint a minute on all cores, `rhythm.save_seconds`' rhythm.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from lilliput.runs.checkpoints import listing, verify
from lilliput.runs.run import Run
from lilliput.stages.begin import train_run
from lilliput.stages.events import Saved
from lilliput.stages.saving import Saver

WORDS = ["data.sources=tales", "tokenizer={kind: bpe, size: 8192}", "training.precision=fp32", "training.batch_size=4"]
WORDS += ["training.micro_batch_size=4", "training.context_length=128", "rhythm.validate_every=0", "rhythm.keep=2"]
MINUTE = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--saves", type=int, default=6)
    parser.add_argument("--every", type=int, default=12, help="updates between two saves")
    parser.add_argument("--set", nargs="*", default=[], help="further key=value words")
    wanted = parser.parse_args()
    work: list[float] = []
    original = Saver._run

    def counted(self: Saver, *arguments: object) -> Saved:
        begun = time.thread_time()
        saved = original(self, *arguments)  # type: ignore[arg-type]
        work.append(time.thread_time() - begun)
        return saved

    Saver._run = counted  # type: ignore[method-assign,assignment]
    with tempfile.TemporaryDirectory() as folder:
        run = Run.begin(str(Path(folder) / "run"))
        steps = wanted.saves * wanted.every
        words = [*WORDS, f"training.length={{steps: {steps + 1}}}", f"rhythm.save_every={wanted.every}", *wanted.set]
        told = list(train_run(run, "modern/10m", words))
        saves = [event for event in told if isinstance(event, Saved) and event.blocked is not None][
            :-1
        ]  # the last one ends it
        path = listing(run.checkpoints)[-1][1]
        size = sum(file.stat().st_size for file in path.iterdir())
        seconds = []
        for _ in range(5):
            begun = time.perf_counter()
            verify(path)
            seconds.append(time.perf_counter() - begun)
        run.lock.release()
    blocked = [event.blocked for event in saves if event.blocked is not None]
    cores = os.cpu_count() or 1
    share = (median(blocked) * cores + median(work)) / (MINUTE * cores)
    print(f"checkpoint: {size / 1e6:.0f} MB, {len(blocked)} saves")
    print(f"a save stops training for {1e3 * median(blocked):.0f} ms (at most {1e3 * max(blocked):.0f}; limit 250)")
    print(f"a save takes {median(e.seconds for e in saves):.2f} s in all, {median(work):.2f} s of one core")
    print(f"a save a minute costs {100 * share:.2f} % of {cores} cores (limit 2 %)")
    print(f"recovery hashes it in {median(seconds):.2f} s (limit 1.5)")


if __name__ == "__main__":
    main()
