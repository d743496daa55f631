"""Times things in turn, so that a machine's moods reach all alike, and gives their ratios with a spread."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Ratio:
    """How many times as long `name` took as `against`: the middle of all rounds, and their quarters."""

    name: str
    against: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.name} / {self.against}: {self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def alternate(
    contestants: Mapping[str, Callable[[], object]], *, rounds: int = 9, warm_up: int = 2
) -> dict[str, list[float]]:
    """Seconds of each contestant, one figure per round; the order turns with the round, the first ones do not count."""
    names, seconds = list(contestants), {name: list[float]() for name in contestants}
    for number in range(-warm_up, rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            begun = time.perf_counter()
            contestants[name]()
            if number >= 0:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, against: str) -> Ratio:
    """The ratio of two contestants, taken within each round."""
    found = sorted(one / other for one, other in zip(seconds[name], seconds[against], strict=True))
    return Ratio(name, against, median(found), found[len(found) // 4], found[-1 - len(found) // 4])
