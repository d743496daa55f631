"""The log cut off at any byte of its last lines: every reader takes the whole lines and no others."""

import json
import shutil

import pytest
from tests.faults.trainer import Trainer

from lilliput.runs import metrics
from lilliput.runs.audit import verify_run
from lilliput.runs.checkpoints import listing
from lilliput.runs.ledger import entry
from lilliput.runs.run import Run


@pytest.fixture(scope="module")
def trainer(training_server, module_in_memory):
    rhythm = {"validate_every": 2, "save_every": 4, "best_by": "none"}
    return Trainer(training_server, module_in_memory, training={"length": {"steps": 7}}, rhythm=rhythm)


@pytest.fixture
def killed(trainer):
    """A run that was killed as it was about to save its end: its log goes on after its newest checkpoint."""
    run = trainer.start()
    commits = [call["number"] for call in run.trace() if "/checkpoints/step-" in call["to"]]
    run = trainer.start()
    assert run.attempt(fault=f"kill@{commits[-1]}") == -9
    return run


def last_lines(data: bytes) -> range:
    """Every place in the last three lines, from before the first byte to after the last."""
    return range(len(data) - sum(map(len, data.splitlines(keepends=True)[-3:])), len(data) + 1)


@pytest.mark.promise("R20")
@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)])
def test_every_reader_takes_the_whole_lines_of_a_log_that_was_cut_off_at_any_byte(killed, figure, every):
    run = Run.open(killed.path)
    sound = run.metrics.path.read_bytes()
    records = [json.loads(line) for line in sound.splitlines()]
    places = last_lines(sound)[::every]
    for place in places:
        run.metrics.path.write_bytes(sound[:place])
        whole = records[: sound[:place].count(b"\n")]
        assert list(metrics.read(run.metrics.path)) == whole
        newest = [record for record in whole if record["kind"] == "step"][-1]
        assert metrics.last(run.metrics.path) == newest
        found = entry(run)
        assert (found.step, found.loss, found.problem) == (newest["step"], newest["loss"], "")
        assert verify_run(run) == []  # the newest checkpoint is older than the lines that are gone
    figure(f"a log cut off at {len(places):,} bytes of its last 3 lines: each reader has the whole lines and no others")


@pytest.mark.promise("R20")
@pytest.mark.parametrize("every", [301, pytest.param(29, marks=pytest.mark.slow)])
def test_a_run_goes_on_from_a_log_that_was_cut_off_at_any_byte_and_ends_the_same(trainer, killed, figure, every):
    sound = (killed.path / "metrics.jsonl").read_bytes()
    places = last_lines(sound)[::every]
    for place in places:
        run = trainer.start()
        shutil.copytree(killed.path, run.path)
        (run.path / "metrics.jsonl").write_bytes(sound[:place])
        run.check_finish(place)
    figure(f"a log cut off at {len(places):,} bytes of its last 3 lines: the run goes on and ends identical")


@pytest.mark.promise("R20")
def test_lines_that_a_checkpoint_was_saved_after_are_missed_by_name(killed):
    run = Run.open(killed.path)
    newest = listing(run.checkpoints)[-1][0]
    sound = run.metrics.path.read_bytes().splitlines(keepends=True)
    run.metrics.path.write_bytes(b"".join(line for line in sound if json.loads(line)["step"] < newest))
    assert [f"ends with step {newest - 1}" in finding for finding in verify_run(run)] == [True]
    assert killed.attempt() == 0
    assert "has lost lines" in " ".join(killed.said().split())
    assert any(f"step {newest + 1} follows step {newest - 1}" in finding for finding in verify_run(run))
