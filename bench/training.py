"""Training tokens per second beside transformers' Trainer: the same GPT-2, batch and text, each with its own loop.

`LILLIPUT_DATA=FOLDER python -m bench.training` prints a table of ratios; ours is a run of `lilliput train` with all
that it records, in the precision that calibration chooses. Peaks of memory are those of fresh processes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.course import follow
from bench.ratio import ratio
from lilliput.nn.kernels import has_bfloat16
from lilliput.runs import metrics

LOG_EVERY = 10
"""Updates per log line, of both; fewer where a contest has less than 30."""


@dataclass(frozen=True)
class Shape:
    name: str
    layers: int
    dim: int
    heads: int
    windows: int
    context: int
    tokenizer: str
    updates: int
    """That one contest takes; those of the first log line do not count."""
    limits: tuple[float, float]
    """Times as fast as Trainer in fp32, and in bf16."""

    @property
    def tokens(self) -> int:
        return self.windows * self.context


SHAPES = {
    shape.name: shape
    for shape in [
        Shape("small", 4, 128, 4, 12, 64, "bytes", 60, (2.5, 2.0)),
        Shape("batch", 4, 128, 4, 48, 64, "bytes", 30, (3.0, 2.2)),
        Shape("vocabulary", 6, 256, 8, 8, 256, "gpt2", 6, (2.0, 1.4)),
    ]
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", nargs=2, metavar=("SHAPE", "NAME"), help="one contest, and the peak of memory")
    wanted = parser.parse_args()
    if wanted.once:
        shape, name = wanted.once
        seconds = contestants(SHAPES[shape])[name]()
        print(json.dumps({"seconds": seconds, "peak": own_peak()}))
        return
    print("| shape | Lilliput, tokens/s | peak MB | beside | tokens/s | peak MB | times as fast | limit |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    missed = [not met for name in wanted.shapes for met in compare(SHAPES[name], wanted.rounds)]
    sys.exit(any(missed))


def compare(shape: Shape, rounds: int) -> list[bool]:
    """Contests in turn, in this process; then each one's peak in its own."""
    running = contestants(shape)
    found: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(rounds):
        for name, contest in running.items():
            found[name].append(contest() / shape.tokens)
    peaks = {name: peak(shape, name) for name in running}
    limits = {"Trainer fp32": shape.limits[0], "Trainer bf16": shape.limits[1]}
    ours, *others = running
    met = []
    for name in others:
        times, limit = ratio(found, name, ours), limits.get(name)
        met.append(limit is None or (times.value >= limit and peaks[ours] <= peaks[name]))
        cells = [f"{shape.layers} x {shape.dim}, {shape.windows} x {shape.context}", *figures(found, peaks, ours)]
        cells += [name, *figures(found, peaks, name), f"{times.value:.2f} ({times.low:.2f} to {times.high:.2f})"]
        print(f"| {' | '.join([*cells, f'{limit:.1f}' if limit else ''])} |", flush=True)
    return met


def figures(seconds: dict[str, list[float]], peaks: dict[str, float], name: str) -> list[str]:
    return [f"{1 / median(seconds[name]):,.0f}", f"{peaks[name]:.0f}"]


def own_peak() -> float:
    """MB that this process held at most; `getrusage` would count what its parent held before."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def peak(shape: Shape, name: str) -> float:
    command = [sys.executable, "-m", "bench.training", "--once", shape.name, name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["peak"])


def contestants(shape: Shape) -> dict[str, Callable[[], float]]:
    """Seconds of an update by name; Trainer in bf16 only where the processor multiplies in it."""
    import torch

    found: dict[str, Callable[[], float]] = {"Lilliput": partial(ours, shape), "Trainer fp32": partial(trainer, shape)}
    if has_bfloat16(torch.device("cpu")):
        found["Lilliput fp32"] = partial(ours, shape, "fp32")
        found["Trainer bf16"] = partial(trainer, shape, bf16=True)
    return found


def log_every(shape: Shape) -> int:
    return min(LOG_EVERY, shape.updates // 3)


def ours(shape: Shape, precision: str = "auto") -> float:
    """The middle of the log lines of a run, without the first."""
    tokenizer = "{kind: bytes}" if shape.tokenizer == "bytes" else "{kind: gpt2}"
    model = f"{{family: gpt2, dim: {shape.dim}, num_layers: {shape.layers}, num_heads: {shape.heads}}}"
    words = ["data.sources=shakespeare", f"tokenizer={tokenizer}", f"model={model}", "optim={kind: adamw, lr: 0.001}"]
    words += [f"training.context_length={shape.context}", f"training.batch_size={shape.windows}"]
    words += [
        "training.micro_batch_size=auto",
        f"training.precision={precision}",
        f"training.length={{steps: {shape.updates}}}",
    ]
    words += [
        f"rhythm.log_every={log_every(shape)}",
        f"rhythm.validate_every={shape.updates}",
        "rhythm.validate_batches=0",
    ]
    words += [f"rhythm.sample_every={shape.updates}", "samples.prompts=[a]", "rhythm.sample_tokens=8"]
    with tempfile.TemporaryDirectory(prefix="lilliput-bench-") as folder:
        course = follow("modern/10m", words, str(Path(folder) / "run"))
        rates = [record["tokens_per_s"] for record in metrics.read(course.run.metrics.path) if "tokens_per_s" in record]
    return shape.tokens / float(median(rates[1:]))


def trainer(shape: Shape, *, bf16: bool = False) -> float:
    """Seconds of an update of Trainer, as its callbacks see them, from the second log line on."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments
    from transformers.utils import logging

    logging.set_verbosity_error()
    vocab_size = 50_257 if shape.tokenizer == "gpt2" else 256
    config = GPT2Config(
        vocab_size=vocab_size, n_positions=shape.context, n_embd=shape.dim, n_layer=shape.layers, n_head=shape.heads,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    ids = torch.randint(vocab_size, (shape.windows * shape.updates, shape.context))
    rows = [{"input_ids": row, "labels": row} for row in ids]
    ends: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory(prefix="lilliput-bench-") as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=shape.updates, per_device_train_batch_size=shape.windows, use_cpu=True,
            bf16=bf16, logging_steps=log_every(shape), save_strategy="no", report_to="none", disable_tqdm=True,
            learning_rate=1e-3, weight_decay=0.1, adam_beta2=0.95,
        )  # fmt: skip
        with redirect_stdout(sys.stderr):
            Trainer(GPT2LMHeadModel(config), arguments, train_dataset=rows, callbacks=[Clock()]).train()
    counted = ends[log_every(shape) - 1 :]
    return (counted[-1] - counted[0]) / (len(counted) - 1)


if __name__ == "__main__":
    main()
