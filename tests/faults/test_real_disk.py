"""A real file system with a journal, in an image: full, and as a power cut would leave it; needs root and mkfs.ext4."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.faults.trainer import Trainer

from lilliput.config.errors import Exit
from lilliput.runs import metrics
from lilliput.runs.checkpoints import listing, verify
from lilliput.runs.run import Run

HERE = Path(__file__).parent
SAVING = """
import os, sys
sys.path[:0] = sys.argv[2:]
import small_run
save = small_run.save
def told(run, step, weights):
    save(run, step, weights)
    os.write(1, f"{step}\\n".encode())
small_run.save = told
small_run.train(sys.argv[1], steps=10**6)
"""
"""Trains without end, and says of each step that its save has returned."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("mkfs.ext4") or os.geteuid() != 0, reason="needs root and mkfs.ext4"),
]


@pytest.fixture(scope="module")
def trainer(training_server, module_in_memory):
    changes = {"training": {"length": {"steps": 6}}, "rhythm": {"validate_every": 2, "save_every": 2, "keep": 1}}
    return Trainer(training_server, module_in_memory, **changes)


def image(path: Path, mebibytes: int) -> Path:
    path.touch()
    os.truncate(path, mebibytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(path)], check=True)
    return path


@contextmanager
def mounted(disk: Path, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-o", "loop", str(disk), str(at)], capture_output=True).returncode:
        pytest.skip("an image cannot be mounted here")
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def is_stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """A process that writes nothing meanwhile: what it had synced is on the disk, of the rest what the kernel chose."""
    os.kill(process, signal.SIGSTOP)
    while not is_stopped(process):
        time.sleep(0.001)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.mark.promise("R2")
def test_an_image_that_was_copied_while_a_run_saved_holds_the_newest_checkpoint_that_was_promised(in_memory, figure):
    disk, draw, steps, times = image(in_memory / "disk", 32), random.Random(1), [0], 60
    with mounted(disk, in_memory / "mounted") as place:
        words = [sys.executable, "-c", SAVING, str(place / "run"), str(HERE), str(HERE.parents[1] / "src")]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        try:
            steps.append(int(child.stdout.readline()))
            os.set_blocking(child.stdout.fileno(), False)
            for number in range(times):
                time.sleep(draw.uniform(0, 0.03))
                with stopped(child.pid):
                    shutil.copy(disk, in_memory / "copy")
                    said = os.read(child.stdout.fileno(), 1 << 16).decode() if number else ""
                steps += map(int, said.split())
                check_copy(in_memory, steps[-1])
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
    assert steps[-1] > 10 * times
    figure(f"an ext4 image copied {times} times while a run saved: the newest checkpoint promised is there, 0 bad")


def check_copy(folder: Path, promised: int) -> None:
    with mounted(folder / "copy", folder / "again") as place:
        run = Run.open(place / "run")
        for _, path in listing(run.checkpoints):
            verify(path)
        found = run.newest(repair=True)
        assert not found.problems and found.manifest["step"] >= promised
        logged = [record["step"] for record in metrics.read(run.metrics.path)]
        assert logged[: found.manifest["step"]] == list(range(1, found.manifest["step"] + 1))
    subprocess.run(["e2fsck", "-fn", str(folder / "copy")], check=True, capture_output=True)


@pytest.mark.promise("R4")
@pytest.mark.parametrize("room", [300, 1000, 1700, 2400])
def test_a_full_ext4_costs_only_the_attempt(trainer, in_memory, figure, room):
    """`room` is in KiB; the rest of the disk is somebody else's, who then makes room."""
    run = trainer.start()
    with mounted(image(in_memory / "disk", 24), in_memory / "mounted") as place:
        run.path = place / "run"
        with (place / "ballast").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(place).free - (room << 10))
        assert run.attempt() == Exit.DISK_FULL
        assert not run.path.exists()
        assert run.attempt({"foretold": False}) == Exit.DISK_FULL, run.said()
        run.check_checkpoints()
        (place / "ballast").unlink()
        assert run.attempt() == 0, run.said()
        found = run.outcome()
        assert [key for key in trainer.expected if found[key] != trainer.expected[key]] == []
    figure(f"an ext4 with {room} KiB free: refused; without that look full, exit 28, then identical")
