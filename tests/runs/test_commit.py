import os
import subprocess
import sys
import time

import psutil
import pytest

from lilliput.runs.commit import commit_folder


def write(text):
    return lambda draft: (draft / "file").write_text(text)


def test_nothing_is_seen_before_everything_is_there(tmp_path):
    seen = []

    def watch(draft):
        write("a")(draft)
        seen.append((tmp_path / "done").exists())

    commit_folder(tmp_path / "done", watch)
    assert seen == [False]
    assert (tmp_path / "done" / "file").read_text() == "a"


def test_a_folder_that_another_process_finished_first_stays(tmp_path):
    def late(draft):
        commit_folder(tmp_path / "done", write("early"))
        write("late")(draft)

    commit_folder(tmp_path / "done", late)
    assert (tmp_path / "done" / "file").read_text() == "early"
    assert [path.name for path in tmp_path.iterdir()] == ["done"]


def test_a_failure_midway_leaves_nothing(tmp_path):
    def fail(draft):
        write("a")(draft)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        commit_folder(tmp_path / "done", fail)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_dead_processes_are_removed_and_those_of_living_ones_are_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getppid()):
        (tmp_path / f".tmp-done-{pid}-0a0a-0").mkdir()
    commit_folder(tmp_path / "done", write("a"))
    assert {path.name for path in tmp_path.iterdir()} == {"done", f".tmp-done-{os.getppid()}-0a0a-0"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no zombies")
def test_a_killed_process_that_nobody_has_asked_after_is_dead(tmp_path):
    zombie = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert zombie.stdout is not None
    zombie.stdout.read()  # returns when the process has closed its end
    while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    (tmp_path / f".tmp-done-{zombie.pid}-0a0a-0").mkdir()
    commit_folder(tmp_path / "done", write("a"))
    zombie.wait()
    zombie.stdout.close()
    assert [path.name for path in tmp_path.iterdir()] == ["done"]
