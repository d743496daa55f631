"""A disk that is really full: small file systems, a limit of the process; with room made, the run ends the same."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.faults import reference_task
from tests.faults.trainer import Attempts

from lilliput.config.errors import Exit
from lilliput.runs import checkpoints, durable
from lilliput.runs.checkpoints import MODEL, listing, verify

SIZES = [1000 + 300 * number for number in range(12)]
"""KiB: from one that holds no checkpoint to one that holds the whole run."""


@pytest.fixture(scope="module")
def task(training_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    changes = {"training": {"length": {"steps": 6}}, "rhythm": {"validate_every": 2, "save_every": 2, "keep": 1}}
    trainer = SimpleNamespace(server=training_server, task={}, recipe=reference_task.recipe(folder / "task", **changes))
    whole = Attempts(trainer, folder / "whole")
    assert whole.attempt() == 0, whole.said()
    trainer.expected, trainer.folder = whole.outcome(), folder
    return trainer


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of `size` KiB at `folder`."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("mounting a file system needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def attempts_on(task: SimpleNamespace, disk: Path, name: str) -> Attempts:
    """A run on the small disk; what it says, and its prepared text, lie elsewhere."""
    run = Attempts(task, task.folder / name)
    (disk / "run").mkdir()
    run.path.symlink_to(disk / "run")
    return run


@pytest.mark.promise("R4")
@pytest.mark.parametrize("sizes", [SIZES[2::4], pytest.param(SIZES, marks=pytest.mark.slow)], ids=["few", "all"])
def test_on_a_full_disk_a_run_ends_with_28_and_all_that_was_committed_and_goes_on_when_there_is_room(
    task, tmp_path, sizes, figure
):
    codes = []
    for size in sizes:
        disk = tmp_path / f"{size}-{len(codes)}"
        with small_disk(disk, size):
            run = attempts_on(task, disk, f"{size}-{len(sizes)}")
            codes.append(run.attempt({"foretold": False}))
            if codes[-1] == 0:
                assert run.outcome() == task.expected
                continue
            assert codes[-1] == Exit.DISK_FULL, (size, run.said())
            run.check_checkpoints()
            committed = [path.name for path in (disk / "run" / "checkpoints").glob("step-*")]
            assert run.attempt({"foretold": False}) == Exit.DISK_FULL, (size, run.said())
            assert [path.name for path in (disk / "run" / "checkpoints").glob("step-*")] == committed
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            assert run.attempt() == 0, (size, run.said())
            found = run.outcome()
            assert [key for key in task.expected if found[key] != task.expected[key]] == [], size
    full = codes.count(Exit.DISK_FULL)
    assert full >= len(sizes) // 2
    figure(f"{len(sizes)} sizes of disk from 1 MB: {full} were full, exit 28, nothing lost, then identical")


@pytest.mark.promise("R4")
@pytest.mark.parametrize("size", [SIZES[0], SIZES[5]])
def test_a_run_that_a_disk_cannot_hold_is_refused_and_nothing_of_it_is_there(task, tmp_path, size):
    with small_disk(tmp_path / "disk", size):
        run = Attempts(task, task.folder / f"refused-{size}")
        run.path = tmp_path / "disk" / "run"
        assert run.attempt() == Exit.DISK_FULL
        assert [path.name for path in (tmp_path / "disk").iterdir()] == ["run.said"]
        subprocess.run(["mount", "-o", "remount,size=64m", str(tmp_path / "disk")], check=True)
        assert run.attempt() == 0, run.said()
        assert run.outcome() == task.expected


@pytest.mark.promise("R4")
def test_a_limit_on_the_size_of_files_is_a_full_disk_too(task, tmp_path):
    run = Attempts(task, task.folder / "limited")
    assert run.attempt({"limit": 100_000}) == Exit.DISK_FULL, run.said()
    run.check_checkpoints()
    assert run.attempt() == 0
    assert run.outcome() == task.expected


@pytest.mark.promise("R4")
@pytest.mark.parametrize("kind", ["ENOSPC", "EDQUOT", "EIO"])
@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_an_error_of_the_disk_at_any_durable_call_costs_only_the_attempt(
    kit, small_run, in_memory, figure, kind, every
):
    code = Exit.IO if kind == "EIO" else Exit.DISK_FULL
    with kit.ForkServer(Path(__file__).with_name("small_run.py"), "train") as server:
        calls = server.trace({"path": str(in_memory / "whole")}, into=in_memory / "trace")
        *expected, _ = small_run.outcome(in_memory / "whole")
        for number in range(1, len(calls) + 1, every):
            path = in_memory / str(number)
            assert server.run({"path": str(path)}, fault=f"{kind}@{number}") == code, calls[number - 1]
            for _, checkpoint in listing(path / "checkpoints"):
                verify(checkpoint)
            assert server.run({"path": str(path)}) == 0
            *found, _ = small_run.outcome(path)
            assert found == expected, calls[number - 1]
    figure(f"{kind} at {len(range(1, len(calls) + 1, every))} durable calls: exit {int(code)}, then identical")


@pytest.mark.promise("R4")
@pytest.mark.parametrize("fails", [1, 2])
def test_a_sync_that_fails_once_and_would_succeed_then_is_not_tried_again(tmp_path, monkeypatch, fails):
    sync, tried = os.fsync, []

    def failing_once(descriptor):
        tried.append(os.fstat(descriptor).st_ino)
        if len(tried) == fails:
            raise OSError(errno.EIO, "the disk says no")
        sync(descriptor)

    def write(folder):
        return {MODEL: durable.write_new(folder / MODEL, b"weights")}

    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setattr(os, "fsync", failing_once)
    with pytest.raises(OSError, match="the disk says no"):  # the weights, then the manifest
        checkpoints.commit(folder, 1, write)
    assert tried.count(tried[fails - 1]) == 1 and not list(folder.iterdir())
    checkpoints.commit(folder, 1, write)
    assert checkpoints.newest(folder).manifest["step"] == 1
