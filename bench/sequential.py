"""Sequential experts on three corpora: bits per byte of each phase and of the assembled model on the held-out mix.

`LILLIPUT_DATA=... python -m bench.sequential` cuts plays, encyclopedia and children's stories into 9/10 to train on and
1/10 to measure with, trains expert 0 on the first, 1 on the second, 2 on the third, and the assembled model on all.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from lilliput.stages.evaluate import evaluate

TEXTS = ("tiny_shakespeare/input.txt", "wikitext2/valid.txt", "tinystories/train_sample.txt")
MODEL = (
    "{family: mixtral, dim: 128, num_layers: 4, dense_layers: 1, num_heads: 4, num_kv_heads: 2, ffn_dim: 256,"
    " num_experts: 3, tied: true}"
)
COMMON = (
    f"model={MODEL}",
    "tokenizer={kind: bytes}",
    "data.split={kind: tail, validation: 0.0}",
    "training.context_length=128",
    "training.micro_batch_size=16",
    "training.batch_size=16",
    "optim={kind: adamw, lr: 2e-3, weight_decay: 0.1}",
    "schedule={kind: linear, floor: 0.1, warmup: {steps: 20, share: 0.1}}",
    "rhythm={save_every: 0, validate_every: 0, sample_every: 0, log_every: 20}",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=300, help="updates of each phase")
    parser.add_argument("--folder", default="runs/sequential", help="where texts, experts and runs lie; a new one")
    parser.add_argument("--set", nargs="*", default=[], help="further key=value words")
    wanted = parser.parse_args()
    folder = Path(wanted.folder).resolve()
    os.environ["LILLIPUT_RUNS"] = str(folder / "runs")
    data = Path(os.environ["LILLIPUT_DATA"])
    for index, name in enumerate(TEXTS):
        divide(data / name, folder, index)
    words = [*COMMON, f"experts.folder={folder / 'experts'}", f"training.length={{steps: {wanted.steps}}}", *wanted.set]
    for index in range(len(TEXTS)):
        sources = f"data.sources={folder / 'train' / f'{index}.txt'}"
        train(f"expert-{index}", [*words, sources, "experts.mode=sequential", f"experts.active={index}"])
    train("assembled", [*words, f"data.sources={folder / 'train'}/", "experts.mode=assembled"])
    print("| model | mix | plays | encyclopedia | stories |\n|---|---|---|---|---|")
    for run in (*(f"expert-{index}" for index in range(len(TEXTS))), "assembled"):
        texts = [folder / "held-out", *(folder / "held-out" / f"{index}.txt" for index in range(len(TEXTS)))]
        found = [next(evaluate(run, data=[f"{text}/" if text.is_dir() else str(text)], orders=())) for text in texts]
        figures = [f"{bpb.value:.3f} ({bpb.low:.3f} to {bpb.high:.3f})" for bpb in (e.report.bpb for e in found)]
        print(f"| {run} | {' | '.join(figures)} |", flush=True)


def divide(path: Path, folder: Path, index: int) -> None:
    """The first 9/10 of a text into `train`, the rest into `held-out`."""
    text = path.read_text(encoding="utf-8")
    cut = len(text) * 9 // 10
    for name, part in (("train", text[:cut]), ("held-out", text[cut:])):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / f"{index}.txt").write_text(part, encoding="utf-8")


def train(name: str, words: list[str]) -> None:
    command = [sys.executable, "-m", "lilliput", "train", "bench/families/mixtral", *words, "--run", name, "--resume"]
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
