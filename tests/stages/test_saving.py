"""Saving beside training: at most one checkpoint is being written, nothing is said too early, no failure is lost."""

import threading

import pytest

from lilliput.stages import saving
from lilliput.stages.events import Saved
from lilliput.stages.journal import Progress
from lilliput.stages.saving import Saver


class Disk:
    """Commits that wait until they are let go."""

    def __init__(self) -> None:
        self.free, self.committed, self.copied = threading.Event(), [], []
        self.fails = False

    def save(self, progress, reason, copied):
        self.copied.append(copied)
        step = progress.step

        def commit():
            self.free.wait(10)
            if self.fails:
                raise OSError(28, "full")
            self.committed.append(step)

        return commit


@pytest.fixture
def disk(monkeypatch):
    monkeypatch.setattr(saving, "APART_BYTES", 1)
    return Disk()


def steps(events):
    return [event.step for event in events if isinstance(event, Saved)]


def test_training_goes_on_while_a_checkpoint_is_written_and_it_is_told_when_it_is_there(disk):
    with Saver(disk.save, 100) as saver:
        assert steps(saver.begin(Progress(step=3), "rhythm")) == []
        assert steps(saver.done()) == [] and disk.committed == []
        disk.free.set()
        assert steps(saver.finish()) == [3] and disk.committed == [3]
        assert steps(saver.done()) == steps(saver.finish()) == []
    assert disk.copied == [True]


def test_the_next_checkpoint_waits_for_the_one_before(disk):
    with Saver(disk.save, 100) as saver:
        list(saver.begin(Progress(step=3), "rhythm"))
        threading.Timer(0.05, disk.free.set).start()
        assert steps(saver.begin(Progress(step=4), "rhythm")) == [3]
        assert steps(saver.finish()) == [4] and disk.committed == [3, 4]


def test_a_failure_beside_training_is_raised_where_its_end_is_looked_at(disk):
    disk.fails = True
    with pytest.raises(OSError, match="full"), Saver(disk.save, 100) as saver:
        list(saver.begin(Progress(step=3), "rhythm"))
        disk.free.set()
        list(saver.finish())


def test_a_checkpoint_that_was_begun_is_committed_whatever_ends_the_run(disk):
    with pytest.raises(ZeroDivisionError), Saver(disk.save, 100) as saver:
        list(saver.begin(Progress(step=3), "rhythm"))
        disk.free.set()
        raise ZeroDivisionError
    assert disk.committed == [3]


@pytest.mark.parametrize("size", [0, 1 << 60], ids=["too small to pay", "larger than memory"])
def test_without_a_copy_a_checkpoint_is_there_at_once(disk, size):
    disk.free.set()
    with Saver(disk.save, size) as saver:
        assert steps(saver.begin(Progress(step=3), "final")) == [3]
    assert disk.copied == [False] and disk.committed == [3]
