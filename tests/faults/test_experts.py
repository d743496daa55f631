"""Phases of sequential experts that are killed or refused by the disk over their shared folder: nothing shows it."""

import shutil
import signal
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.faults import reference_task
from tests.faults.trainer import Attempts

from lilliput.config.errors import Exit
from lilliput.runs.lock import RunLock
from lilliput.runs.sealed import hash_file, regular_file
from lilliput.runs.shelf import Shelf

MIXTURE = {"family": "mixtral", "dim": 16, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1, "ffn_dim": 24}
SHORT = {
    "model": {**MIXTURE, "num_experts": 2, "dense_layers": 0},
    "training": {"length": {"steps": 4}},
    "rhythm": {"save_every": 2, "keep": 1, "validate_every": 0, "sample_every": 0},
    "experts": {"mode": "sequential"},
}
FAULTS = (("ENOSPC", Exit.DISK_FULL), ("EIO", Exit.IO), ("kill", -signal.SIGKILL), ("killmid", -signal.SIGKILL))


def contents(folder: Path) -> dict[str, bytes]:
    """The file of each name, every one checked against its hash."""
    found = {}
    for name, kept in Shelf(folder, ".safetensors").kept().items():
        with regular_file(kept.path) as descriptor:
            assert kept.record is not None and hash_file(descriptor) == kept.record.sha256
        found[name] = kept.path.read_bytes()
    return found


class Phases:
    """Runs that train expert 1 and move the trunk, each over its copy of a folder in which expert 0 lies."""

    def __init__(self, server, folder: Path) -> None:
        self.trainer = SimpleNamespace(server=server, task={}, recipe=reference_task.recipe(folder / "task", **SHORT))
        self.root, self.names = folder, count(1)
        self.first = Attempts(self.trainer, folder / "first")
        self.words = {"words": [f"experts.folder={folder / 'start'}"]}
        assert self.first.attempt(self.words) == 0, self.first.said()
        self.before = contents(folder / "start")
        whole = self.start()
        assert whole.attempt() == 0, whole.run.said()
        self.after = contents(whole.folder)

    def start(self) -> "Phase":
        run = Attempts(self.trainer, self.root / str(next(self.names)))
        shutil.copytree(self.root / "start", run.folder / "experts")
        return Phase(run)


class Phase:
    def __init__(self, run: Attempts) -> None:
        self.run, self.folder = run, run.folder / "experts"
        words = [f"experts.folder={self.folder}", "experts.active=1", "experts.trunk_lr=0.1"]
        self.task = {"words": words}

    def attempt(self, fault: str = "") -> int:
        return self.run.attempt(self.task, fault=fault)

    def trace(self) -> list[dict[str, Any]]:
        return self.run.trace(self.task)

    def places(self) -> list[str]:
        """Where the code writes into the folder."""
        own = [call for call in self.trace() if str(self.folder) in call["path"]]
        return list(dict.fromkeys(f"{call['operation']}:{call['site']}" for call in own))


@pytest.fixture(scope="module")
def phases(training_server, module_in_memory):
    return Phases(training_server, module_in_memory)


@pytest.mark.promise("R1")
@pytest.mark.parametrize("each", [1, pytest.param(len(FAULTS), marks=pytest.mark.slow)])
def test_whatever_happens_where_a_phase_writes_its_experts_the_folder_is_whole_and_ends_the_same(phases, figure, each):
    assert phases.before != phases.after and phases.before.keys() < phases.after.keys()
    where = phases.start().places()
    assert len(where) > 10
    for number, place in enumerate(where):
        one = phases.start()
        for kind, code in [FAULTS[(number + turn) % len(FAULTS)] for turn in range(each)]:
            found = one.attempt(f"{kind}@{place}")
            if found == 0:  # the attempts before had come past this place for good
                assert contents(one.folder) == phases.after, (kind, place)
                one = phases.start()
                found = one.attempt(f"{kind}@{place}")
            swallowed = place.startswith("unlink") and kind in ("ENOSPC", "EIO")  # what is not named any more may stay
            assert found == (0 if swallowed else code), (kind, place, one.run.said())
            assert contents(one.folder) in (phases.before, phases.after), (kind, place)
        assert one.attempt() == 0, one.run.said()
        assert contents(one.folder) == phases.after, place
        assert not [path for path in one.folder.iterdir() if path.name.startswith(".tmp-")]
    figure(f"experts of a shared folder: {len(where)} places x {each} faults, folder whole and identical each time")


def test_an_expert_that_is_being_trained_by_one_run_is_refused_to_another_which_leaves_nothing(phases):
    one = phases.start()
    with RunLock(one.folder / "expert-1.LOCK"):
        assert one.attempt() == Exit.LOCKED
        assert not one.run.path.exists()
    assert one.attempt() == 0


@pytest.mark.promise("R3")
@pytest.mark.parametrize("part", ["trunk", "layer-00.expert-0", "layer-01.expert-0"])
def test_an_expert_with_a_flipped_bit_is_not_used_and_is_put_there_anew_by_the_run_that_trained_it(phases, part):
    start = phases.root / "start"
    path = Shelf(start, ".safetensors").kept()[part].path
    data = bytearray(path.read_bytes())
    data[-9] ^= 4
    path.write_bytes(data)
    one = phases.start()
    assert one.attempt() == Exit.CONTENT
    assert not one.run.path.exists()
    assert phases.first.attempt(phases.words) == 0
    assert contents(start) == phases.before


def test_a_run_that_is_resumed_from_another_working_directory_finds_the_folder_it_began_with(phases):
    run = Attempts(phases.trainer, phases.root / "elsewhere")
    commit = next(call for call in phases.start().trace() if "/step-" in call["to"])
    for name, fault, code in (("one", f"kill@{commit['number']}", -signal.SIGKILL), ("other", "", 0)):
        (run.folder / name).mkdir()
        assert run.attempt({"place": str(run.folder / name)}, fault=fault) == code, run.said()
    assert contents(run.folder / "one" / "experts").keys() == phases.before.keys()
    assert not (run.folder / "other" / "experts").exists()
