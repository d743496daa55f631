"""Windowed attention from 512 to 8,192 tokens: how its time and memory grow, with and without sinks.

python -m bench.windows
"""

import math
import resource
import sys
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from bench.ratio import alternate
from lilliput.nn.attention import Sight, attend

LENGTHS = (512, 1024, 2048, 4096, 8192)
HEADS, HELD, WIDTH = 8, 2, 64


def passes(time: int, window: int | None, sinks: Tensor | None) -> Callable[[], None]:
    """Forward and backward of one row."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, time, n, WIDTH).transpose(1, 2).requires_grad_() for n in (HEADS, HELD, HELD))
    cotangent, tokens = torch.randn(1, time, HEADS * WIDTH), torch.zeros(1, time, dtype=torch.long)

    def once() -> None:
        attend(q, k, v, Sight(tokens), 0, window=window, sinks=sinks).backward(cotangent)

    return once


def exponent(seconds: dict[int, float]) -> float:
    """The slope of log time over log length, by least squares."""
    x, y = [math.log(n) for n in seconds], [math.log(s) for s in seconds.values()]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)


def report(window: int | None, sinks: Tensor | None, rounds: int) -> None:
    contestants = {str(time): passes(time, window, sinks) for time in LENGTHS}
    found = {int(time): median(each) for time, each in alternate(contestants, rounds=rounds, warm_up=1).items()}
    name = f"window {window}" if window else "all before"
    milliseconds = "  ".join(f"{time} {1000 * seconds:.1f}" for time, seconds in found.items())
    print(
        f"{name}{', sinks' if sinks is not None else ''}: exponent {exponent(found):.2f}; ms {milliseconds}", flush=True
    )


def memory(window: int | None, time: int) -> None:
    """Prints by how many MB the peak of this fresh process grows."""
    passes(256, None, None)()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    passes(time, window, None)()
    print(f"{(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f} MB at {time}, window {window}")


if __name__ == "__main__":
    torch.set_num_threads(2)
    if sys.argv[1:]:
        memory(int(sys.argv[1]) or None, int(sys.argv[2]))
    else:
        for window in (128, 512):
            for sinks in (None, torch.zeros(HEADS, requires_grad=True)):
                report(window, sinks, rounds=7)
        report(None, None, rounds=3)
