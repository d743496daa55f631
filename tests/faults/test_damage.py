"""Damaged checkpoints: whatever befalls the newest one, the run falls back to the one before and ends the same."""

import random
import shutil
import signal
from pathlib import Path

import pytest
from tests.faults import harms
from tests.faults.harms import HARMS
from tests.faults.trainer import Trainer

from lilliput.config.errors import Exit
from lilliput.runs.checkpoints import MODEL, listing
from lilliput.runs.run import Run

HERE = Path(__file__).parent


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and not path.is_symlink()}


class Finished:
    """A run of milliseconds that was killed when all had been done but retiring: it has two checkpoints."""

    def __init__(self, server, outcome, folder: Path) -> None:
        self.server, self.outcome, self.folder = server, outcome, folder
        whole = folder / "whole"
        calls = server.trace({"path": str(whole)}, into=folder / "trace")
        self.expected = self.of(whole)
        last = [call["number"] for call in calls if "/.dead-" in call["to"]][-1]
        self.base = folder / "base"
        assert server.run({"path": str(self.base)}, fault=f"kill@{last}") == -signal.SIGKILL
        assert len(listing(self.base / "checkpoints")) == 2

    def of(self, path: Path) -> list[object]:
        step, weights, log, steps, _, ended = self.outcome(path)
        return [step, weights, log, [name for name in steps if not name.startswith(".bad")], ended["step"]]

    def check(self, harm, what: object) -> None:
        """The harmed checkpoint is set aside as it is, with a reason, and the run ends as one without harm."""
        path = self.folder / "run"
        shutil.copytree(self.base, path)
        newest = listing(path / "checkpoints")[-1][1]
        harm(newest)
        harmed = contents(newest)
        assert self.server.run({"path": str(path)}) == 0, what
        assert self.of(path) == self.expected, what
        (aside,) = (path / "checkpoints").glob(f".bad-{newest.name}-*")
        assert (aside / "REASON").read_text().strip(), what
        assert contents(aside) == {**harmed, "REASON": (aside / "REASON").read_bytes()}
        shutil.rmtree(path)


@pytest.fixture(scope="module")
def finished(kit, small_run, module_in_memory):
    with kit.ForkServer(HERE / "small_run.py", "train") as server:
        yield Finished(server, small_run.outcome, module_in_memory)


@pytest.mark.promise("R3")
@pytest.mark.parametrize("share", [0.03, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("harm", "times"), [(harms.flip, 1000), (harms.cut, 500), (harms.zero, 100)])
def test_a_harmed_checkpoint_is_never_used_and_the_run_ends_the_same(finished, figure, harm, times, share):
    for seed in range(round(times * share)):
        draw = random.Random(seed)
        finished.check(lambda path, draw=draw: harm(path, draw), (harm.__name__, seed))
    figure(f"{harm.__name__} {round(times * share):,} times: 0 used, set aside and identical each time")


@pytest.mark.promise("R3")
@pytest.mark.parametrize("harm", [harm for harm in HARMS if harm != "a file in the place of the checkpoint"])
def test_a_checkpoint_with_something_else_in_its_place_is_never_used(finished, harm):
    finished.check(HARMS[harm], harm)


@pytest.fixture(scope="module")
def trainer(training_server, module_in_memory):
    return Trainer(training_server, module_in_memory / "trained")


def killed_before_it_retired(trainer):
    run = trainer.start()
    last = [call for call in run.trace() if "/.dead-" in call["to"]][-1]
    run = trainer.start()
    assert run.attempt(fault=f"kill@{last['number']}") == -signal.SIGKILL
    return run


@pytest.mark.promise("R3")
@pytest.mark.parametrize("times", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_training_says_which_checkpoint_it_passes_over_and_why_and_ends_the_same(trainer, figure, times):
    whole = killed_before_it_retired(trainer)
    for seed in range(times):
        run, draw = trainer.start(), random.Random(seed)
        shutil.copytree(whole.path, run.path)
        newest = listing(run.path / "checkpoints")[-1][1]
        draw.choice([harms.flip, harms.cut, harms.zero])(newest, draw)
        assert run.attempt() == 0, run.said()
        assert f"passed over a damaged checkpoint: {newest.name}: " in " ".join(run.said().split())
        (aside,) = (run.path / "checkpoints").glob(f".bad-{newest.name}-*")
        shutil.rmtree(aside)
        run.check_end(seed)
    figure(f"the reference task: {times} harms, passed over by name and identical each time")


@pytest.mark.promise("R3")
def test_a_run_whose_own_files_are_damaged_is_not_resumed_until_they_are_as_they_were(trainer):
    run = killed_before_it_retired(trainer)
    for name in ("config.json", "manifest.json", "run.json"):
        path = run.path / name
        sound = path.read_bytes()
        path.write_bytes(sound[:-9] + bytes([sound[-9] ^ 1]) + sound[-8:])
        before = contents(run.path)
        assert run.attempt() == Exit.CONTENT, name
        assert {**contents(run.path), "LOCK": before["LOCK"]} == before
        path.write_bytes(sound)
    (run.path / "run.json").unlink()
    run.check_finish()


@pytest.mark.promise("R3")
def test_where_every_checkpoint_is_damaged_training_ends_with_66_and_a_list_and_does_not_begin_again(trainer):
    run = killed_before_it_retired(trainer)
    names = [path.name for _, path in listing(run.path / "checkpoints")]
    assert len(names) > 2
    for _, path in listing(run.path / "checkpoints"):
        (path / MODEL).write_bytes(b"")
    for _ in range(2):  # the second time they already lie aside
        assert run.attempt() == Exit.MISSING
    ended = Run.open(run.path).state.exit
    assert all(name in ended["cause"] for name in names), ended
    assert listing(run.path / "checkpoints") == []
