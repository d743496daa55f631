"""The meter: tokens and updates per second, use of the machine's peak, waiting for data, memory."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import torch

# A backward pass costs twice its forward pass
SIDES = {"cuda": 8192, "mps": 4096}
"""Side of the product that measures a device's peak: a smaller one ends before the device has been waited for."""
PASSES = 3


class Meter:
    """Seconds of training alone: what happens inside `pause` does not count."""

    def __init__(
        self,
        device: torch.device,
        *,
        flops_per_token: int = 0,
        peak: float = 0.0,
        waited: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`flops_per_token` of a forward pass and the device's `peak` per second give the MFU; `waited` is the
        loader's count of seconds.
        """
        self.device, self.work, self.peak = device, PASSES * flops_per_token, peak
        self.waited, self.clock = waited, clock
        self.seconds = 0.0
        self.since = clock()
        self._restart()

    def start(self, step: int = 0) -> None:
        """Begin to count, after `step` updates of earlier processes."""
        self.first, self.since, self.seconds = step, self.clock(), 0.0
        self._restart()

    def add(self, targets: int, micro_batches: int) -> None:
        """One update has been made."""
        self.tokens += targets
        self.passes += micro_batches
        self.updates += 1
        self._count()

    @contextmanager
    def pause(self) -> Iterator[None]:
        self._count()
        try:
            yield
        finally:
            self.since = self.clock()

    def read(self) -> dict[str, float]:
        """Rates since the last reading, and memory now in bytes."""
        self._count()
        span = max(self.seconds - self.begun, 1e-9)
        used, total = memory(self.device)
        rates = {
            "seconds": self.seconds,
            "tokens_per_s": self.tokens / span,
            "updates_per_s": self.updates / span,
            "micro_steps_per_s": self.passes / span,
            "data_wait": (self.waited() - self.waited_before) / span,
            "memory": used,
            "memory_total": total,
        }
        if self.peak:
            rates["mfu"] = self.work * self.tokens / span / self.peak
        self._restart()
        return rates

    def _count(self) -> None:
        now = self.clock()
        self.seconds += now - self.since
        self.since = now

    def _restart(self) -> None:
        self.begun, self.waited_before = self.seconds, self.waited()
        self.tokens = self.updates = self.passes = 0


def memory(device: torch.device) -> tuple[int, int]:
    """Bytes that this process holds, and bytes there are: the device's own, else the machine's."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total - free, total
    return psutil.Process().memory_info().rss, psutil.virtual_memory().total


def peak_flops(device: torch.device, dtype: torch.dtype, size: int | None = None, seconds: float = 0.2) -> float:
    """Floating-point operations per second of the best square matrix product within `seconds`, of `SIDES` by default.

    Of drawn values: products of ones and zeros take less power, and a fast device does them faster.
    """
    size = size or SIDES.get(device.type, 1024)
    generator = torch.Generator(device).manual_seed(0)  # nobody else's draws move
    a, b = (torch.rand(size, size, dtype=dtype, device=device, generator=generator) for _ in range(2))
    best, end = 0.0, time.perf_counter() + seconds
    _product(a, b)
    while best == 0.0 or time.perf_counter() < end:
        begun = time.perf_counter()
        _product(a, b)
        best = max(best, 2 * size**3 / (time.perf_counter() - begun))
    return best


def _product(a: torch.Tensor, b: torch.Tensor) -> None:
    product = a @ b
    product[0, 0].item()  # waits for the device
