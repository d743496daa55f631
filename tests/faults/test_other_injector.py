"""Kills and errors injected by strace at the system calls themselves, which does not trust the seam's own counting."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCE = str(HERE.parents[1] / "src")
CODE = "import sys, small_run; sys.exit(small_run.train(sys.argv[1]))"
TRACED = "write,pwrite64,ftruncate,fallocate,fsync,rename,renameat,renameat2,mkdir,unlink,rmdir"


def train(path: Path, *before: str) -> int:
    words = [*before, sys.executable, "-B", "-c", CODE, str(path)]
    environment = {**os.environ, "PYTHONPATH": f"{SOURCE}:{HERE}", "OMP_NUM_THREADS": "1"}
    return subprocess.run(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("fault", ["signal=KILL", "error=EIO", "error=ENOSPC"])
@pytest.mark.parametrize("call", ["fsync", "rename", "fallocate", "write", "mkdir", "unlink"])
def test_a_fault_of_the_kernel_changes_nothing(small_run, in_memory, call, fault):
    assert train(in_memory / "whole") == 0
    *expected, _ = small_run.outcome(in_memory / "whole")
    endings = []
    for when in (1, 2, 4, 7, 11):
        path = in_memory / str(when)
        inject = f"inject={call}:{fault}:when={when}"
        endings.append(train(path, "strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={TRACED}", "-e", inject))
        assert train(path) == 0
        *shared, _ = small_run.outcome(path)
        assert shared == expected, (call, fault, when)
    died = {1} if fault.startswith("error") else {-signal.SIGKILL, 128 + signal.SIGKILL}
    assert died & set(endings) and set(endings) <= died | {0}
