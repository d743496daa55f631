"""Retention: whatever happens between saves, the newest intact, the pinned and other runs' checkpoints stay."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lilliput.runs import checkpoints, durable
from lilliput.runs.checkpoints import MODEL, STATE
from lilliput.runs.damage import Damaged
from lilliput.runs.faults import faults

SEQUENCES, OPERATIONS, PARTS = 10_000, 30, 20


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


class Retention(RuleBasedStateMachine):
    """Whatever happens between saves, an intact checkpoint stays, the pinned stay, and the disk stays bounded."""

    @initialize(keep=st.integers(0, 3))
    def start(self, keep):
        self.root = Path(os.environ["RETENTION_ROOT"])
        shutil.rmtree(self.root, ignore_errors=True)
        self.folder, self.keep, self.step, self.pinned, self.foreign = self.root / "checkpoints", keep, 0, set(), set()

    def retain(self):
        before = self.intact()
        checkpoints.retain(self.folder, self.keep, self.pinned, run="r")
        after = self.intact()
        assert not before or after[-1] == before[-1]
        assert self.pinned & set(before) <= set(after)
        assert len(after) <= max(self.keep, 1) + 1 + len(self.pinned)

    def intact(self):
        found = []
        for step, path in checkpoints.listing(self.folder):
            try:
                if checkpoints.verify(path)["run"] == "r" and step not in found:
                    found.append(step)
            except Damaged:
                pass
        return found

    @rule(rolling=st.booleans(), by=st.integers(0, 2))
    def save(self, rolling, by):
        self.step += by
        save(self.folder, self.step, rolling=rolling)
        self.retain()

    @rule(back=st.integers(1, 4))
    def go_on_from_an_older_one(self, back):
        self.step = max(0, self.step - back)
        save(self.folder, self.step)
        assert checkpoints.listing(self.folder)

    @rule(number=st.integers(1, 30))
    def killed_while_saving_and_retiring(self, number):
        self.step += 1
        before = self.intact()
        with dying_at(number):
            save(self.folder, self.step)
            checkpoints.retain(self.folder, self.keep, self.pinned, run="r")
        after = self.intact()
        assert not before or (after and after[-1] >= before[-1])
        assert self.pinned & set(before) <= set(after)

    @rule(kind=st.sampled_from(["EIO", "ENOSPC"]), number=st.integers(1, 30))
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

    @rule(data=st.data())
    def damage_any_but_the_last_intact(self, data):
        intact = self.intact()
        if len(intact) > 1:
            step = data.draw(st.sampled_from(intact))
            for other, path in checkpoints.listing(self.folder):
                if other == step:
                    (path / MODEL).write_bytes(b"harm")
            self.pinned.discard(step)
            self.retain()

    @rule(data=st.data())
    def pin(self, data):
        if intact := self.intact():
            self.pinned.add(data.draw(st.sampled_from(intact)))

    @rule(step=st.integers(0, 50))
    def copy_from_another_run(self, step):
        self.foreign.add(save(self.folder, step + 1000, run="other"))

    @rule(keep=st.integers(0, 3))
    def change_keep(self, keep):
        self.keep = keep
        self.retain()

    @rule(year=st.integers(1971, 2037))
    def touch(self, year):
        for _, path in checkpoints.listing(self.folder):
            os.utime(path, ((year - 1970) * 31_557_600,) * 2)

    @rule()
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


@pytest.mark.slow
@pytest.mark.promise("R12")
@pytest.mark.parametrize("part", range(PARTS))
def test_retention_is_safe_in_ten_thousand_orders_of_events(in_memory, monkeypatch, figure, part):
    monkeypatch.setenv("RETENTION_ROOT", str(in_memory / "machine"))
    explore(SEQUENCES // PARTS, OPERATIONS, 1 + part)
    if part == 0:
        figure(f"{PARTS} parts of {SEQUENCES // PARTS} sequences of up to {OPERATIONS} operations")
