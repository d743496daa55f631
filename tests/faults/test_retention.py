"""Retention: whatever happens between saves, the newest intact, the pinned and other runs' checkpoints stay."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lilliput.runs import checkpoints, durable
from lilliput.runs.checkpoints import MODEL, STATE
from lilliput.runs.damage import Damaged
from lilliput.runs.faults import faults

SEQUENCES, OPERATIONS, PARTS = 10_000, 30, 4


class Dead(BaseException):
    """A process that is no more: none of its durable calls happens."""


@contextmanager
def dying_at(number: int) -> Iterator[None]:
    """From the n-th durable call on nothing happens, as after a kill, not even what `except` and `finally` ask for."""
    left = number

    def due(*_: object) -> bool:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Dead
        return False

    faults.due = due  # type: ignore[method-assign]
    try:
        yield
    except Dead:
        pass
    finally:
        del faults.due


def save(folder: Path, step: int, **manifest: object) -> Path:
    def write(target: Path) -> dict[str, durable.FileRecord]:
        model = durable.write_new(target / MODEL, f"weights of {step}".encode())
        return {MODEL: model, STATE: durable.write_new(target / STATE, json.dumps({"step": step}).encode())}

    return checkpoints.commit(folder, step, write, {"run": "r", **manifest})


EVENTS: list[tuple[Callable[..., None], dict[str, Sequence[Any]]]] = []
"""What may happen, and which values each of its arguments may have."""


def event(**values: Sequence[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule of the machine, kept in EVENTS too, for a driver without Hypothesis, which takes half of the time."""

    def kept(act: Callable[..., None]) -> Callable[..., None]:
        EVENTS.append((act, values))
        made: Callable[..., None] = rule(**{name: st.sampled_from(list(of)) for name, of in values.items()})(act)
        return made

    return kept


class Retention(RuleBasedStateMachine):
    """Whatever happens between saves, an intact checkpoint stays, the pinned stay, and the disk stays bounded."""

    @initialize(keep=st.integers(0, 3))
    def start(self, keep):
        self.root = Path(os.environ["RETENTION_ROOT"])
        shutil.rmtree(self.root, ignore_errors=True)
        self.folder, self.keep, self.step, self.pinned, self.foreign = self.root / "checkpoints", keep, 0, set(), set()
        self.known = {}

    def retain(self):
        before = self.intact()
        checkpoints.retain(self.folder, self.keep, self.pinned, run="r")
        after = self.intact()
        assert not before or after[-1] == before[-1]
        assert self.pinned & set(before) <= set(after)
        assert len(after) <= max(self.keep, 1) + 1 + len(self.pinned)

    def intact(self):
        found = {step: None for step, path in checkpoints.listing(self.folder) if self.run_of(path) == "r"}
        return list(found)

    def run_of(self, path):
        """Whose a checkpoint is; None if it is damaged. It is hashed again whenever one of its files is another."""
        stats = [entry.stat() for entry in os.scandir(path)]
        files = tuple((found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns) for found in stats)
        if files not in self.known:
            try:
                self.known[files] = checkpoints.verify(path)["run"]
            except Damaged:
                self.known[files] = None
        return self.known[files]

    @event(rolling=(False, True), by=range(3))
    def save(self, rolling, by):
        self.step += by
        save(self.folder, self.step, rolling=rolling)
        self.retain()

    @event(back=range(1, 5))
    def go_on_from_an_older_one(self, back):
        self.step = max(0, self.step - back)
        save(self.folder, self.step)
        assert checkpoints.listing(self.folder)

    @event(number=range(1, 31))
    def killed_while_saving_and_retiring(self, number):
        self.step += 1
        before = self.intact()
        with dying_at(number):
            save(self.folder, self.step)
            checkpoints.retain(self.folder, self.keep, self.pinned, run="r")
        after = self.intact()
        assert not before or (after and after[-1] >= before[-1])
        assert self.pinned & set(before) <= set(after)

    @event(kind=("EIO", "ENOSPC"), number=range(1, 31))
    def save_on_a_failing_disk(self, kind, number):
        self.step += 1
        before = self.intact()
        faults.reset(f"{kind}@{number}")
        try:
            save(self.folder, self.step)
            checkpoints.retain(self.folder, self.keep, self.pinned, run="r")
        except OSError:
            pass
        faults.reset()
        assert not before or self.intact()[-1] >= before[-1]

    @event(which=range(12))
    def damage_any_but_the_last_intact(self, which):
        intact = self.intact()
        if len(intact) > 1:
            step = intact[which % len(intact)]
            for other, path in checkpoints.listing(self.folder):
                if other == step:
                    (path / MODEL).write_bytes(b"harm")
            self.pinned.discard(step)
            self.retain()

    @event(which=range(12))
    def pin(self, which):
        if intact := self.intact():
            self.pinned.add(intact[which % len(intact)])

    @event(step=range(51))
    def copy_from_another_run(self, step):
        self.foreign.add(save(self.folder, step + 1000, run="other"))

    @event(keep=range(4))
    def change_keep(self, keep):
        self.keep = keep
        self.retain()

    @event(year=range(1971, 2038))
    def touch(self, year):
        for _, path in checkpoints.listing(self.folder):
            os.utime(path, ((year - 1970) * 31_557_600,) * 2)

    @event()
    def recover(self):
        if intact := self.intact():
            assert checkpoints.newest(self.folder, run="r").manifest["step"] == intact[-1]

    @invariant()
    def other_runs_are_untouched(self):
        assert all(path.exists() for path in self.foreign)


def explore(sequences: int, operations: int, number: int) -> None:
    machine = seed(number)(Retention).TestCase
    machine.settings = settings(
        max_examples=sequences,
        stateful_step_count=operations,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    machine().runTest()


@pytest.mark.promise("R12")
def test_retention_is_safe_in_any_order_of_events(in_memory, monkeypatch, figure):
    monkeypatch.setenv("RETENTION_ROOT", str(in_memory / "machine"))
    explore(60, 20, 0)
    figure("60 sequences of up to 20 operations")


def follow(number: int, operations: int) -> None:
    """The sequence of that number, in which every event is as likely as any other."""
    draw, machine = random.Random(number), Retention()
    machine.start(keep=draw.randrange(4))
    for _ in range(operations):
        act, values = draw.choice(EVENTS)
        act(machine, **{name: draw.choice(of) for name, of in values.items()})
        machine.other_runs_are_untouched()


@pytest.mark.slow
@pytest.mark.promise("R12")
@pytest.mark.parametrize("part", range(PARTS))
def test_retention_is_safe_in_ten_thousand_orders_of_events(in_memory, monkeypatch, figure, part):
    monkeypatch.setenv("RETENTION_ROOT", str(in_memory / "machine"))
    for number in range(part, SEQUENCES, PARTS):
        try:
            follow(number, OPERATIONS)
        except AssertionError as error:
            raise AssertionError(f"sequence {number}") from error
    if part == 0:
        figure(f"{PARTS} parts of {SEQUENCES // PARTS:,} sequences of {OPERATIONS} operations")
