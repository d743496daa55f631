"""The ledger says what is true now: from the lock and the exit record, whatever the heartbeat still claims."""

import time

import pytest

from lilliput.config.errors import Exit
from lilliput.runs import durable
from lilliput.runs.ledger import STALLED_SECONDS, listing, status
from lilliput.runs.run import Run


@pytest.fixture
def run(tmp_path):
    run = Run.begin(str(tmp_path / "a"))
    run.write_manifest()
    run.started()
    yield run
    run.lock.release()


def test_a_run_whose_lock_is_held_is_running_paused_or_stalled(run, monkeypatch):
    assert status(run) == "running"
    run.beat(3, "train")
    assert status(run) == "running"
    run.beat(3, "paused: disk full")
    assert status(run) == "paused"
    run.beat(3, "train")
    later = time.monotonic() + STALLED_SECONDS + 1
    monkeypatch.setattr("time.monotonic", lambda: later)
    assert status(run) == "stalled"


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (0, "finished"),
        (Exit.INTERRUPTED, "stopped"),
        (Exit.TERMINATED, "stopped"),
        (Exit.DIVERGED, "diverged"),
        (Exit.MEMORY, "out of memory"),
        (Exit.DISK_FULL, "disk full"),
        (Exit.IO, "failed"),
        (Exit.BUG, "failed"),
    ],
)
def test_a_run_that_ended_says_how(run, code, word):
    run.ended(code, 7)
    assert status(run) == "running"
    run.lock.release()
    assert status(run) == word


def test_a_run_that_died_without_a_word_is_lost_even_if_it_finished_before(run):
    run.ended(0, 7)
    run.started()
    run.beat(9, "train")
    run.lock.release()
    assert status(run) == "lost"


def test_a_wall_clock_that_jumps_changes_no_status(run, monkeypatch):
    run.beat(1, "train")
    for moment in (0, 2**31, 10**10):
        monkeypatch.setattr("time.time", lambda moment=moment: moment)
        assert status(run) == "running"


def test_the_listing_has_every_run_and_nothing_else(tmp_path, run):
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("")
    assert listing(tmp_path / "none") == []
    run.metrics.write({"kind": "step", "step": 4, "loss": 2.5})
    run.commit(3, lambda folder: {"x": durable.write_new(folder / "x", b"")})
    (entry,) = listing(tmp_path)
    assert (entry.name, entry.status, entry.step, entry.loss, entry.checkpoints) == ("a", "running", 4, 2.5, (3,))
    assert entry.problem == ""


def test_a_damaged_run_is_listed_with_its_problem(tmp_path, run):
    run.manifest.write_bytes(b"{")
    (entry,) = listing(tmp_path)
    assert "manifest.json" in entry.problem and entry.created is None


def test_a_run_whose_end_was_damaged_is_listed_as_damaged(tmp_path, run):
    run.lock.release()
    (run.path / "run.json").write_bytes(b"{")
    (entry,) = listing(tmp_path)
    assert entry.status == "damaged" and "run.json" in entry.problem
