"""The gated recurrence: its share of its block's time at 2,048 tokens, and how its time grows with the length."""

import math
from collections.abc import Callable, Sequence

import torch

from bench.ratio import alternate, ratio
from lilliput.nn.mlgru import MLGRUBlock, Shape
from lilliput.nn.recurrence import Course, Mode, scan

WIDTH, LENGTHS = 512, (512, 1024, 2048, 4096, 8192)


def block(time: int) -> Callable[[], None]:
    made = MLGRUBlock(Shape(dim=WIDTH, state_dim=WIDTH, ffn_dim=4 * WIDTH), 0)
    x = torch.randn(1, time, WIDTH, requires_grad=True)

    def run() -> None:
        made(x, Course()).sum().backward()

    return run


def recurrence(time: int, mode: Mode = "chunk") -> Callable[[], None]:
    forget, x = torch.rand(1, time, WIDTH, requires_grad=True), torch.randn(1, time, WIDTH, requires_grad=True)

    def run() -> None:
        scan(forget, x, None, mode)[0].sum().backward()

    return run


def main() -> None:
    torch.manual_seed(0)
    print(f"forward and backward, fp32, width {WIDTH}, {torch.get_num_threads()} threads")
    contestants = {
        "block": block(2048),
        "recurrence": recurrence(2048),
        "by token": recurrence(2048, "fused_recurrent"),
    }
    seconds = alternate(contestants)
    print("at 2,048 tokens:", ratio(seconds, "recurrence", "block"), "(promised: at most 0.25)")
    print("token by token: ", ratio(seconds, "by token", "recurrence"))
    seconds = alternate({str(time): recurrence(time) for time in LENGTHS}, rounds=15)
    shortest = [min(seconds[str(time)]) for time in LENGTHS]
    print("ms:", ", ".join(f"{time:,}: {1e3 * found:.2f}" for time, found in zip(LENGTHS, shortest, strict=True)))
    print(f"time grows as length to the power {exponent(LENGTHS, shortest):.2f} (promised: at most 1.1)")


def exponent(lengths: Sequence[int], seconds: Sequence[float]) -> float:
    """The slope of the straight line through the logarithms."""
    xs, ys = [math.log(n) for n in lengths], [math.log(s) for s in seconds]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


if __name__ == "__main__":
    main()
