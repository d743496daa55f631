"""Building a corpus, killed anywhere: rerun, it is the same bytes, and what was cleaned is not cleaned again."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from lilliput.config.errors import Exit

HERE = Path(__file__).parent
pytestmark = pytest.mark.promise("R18")


@pytest.fixture(scope="module")
def server(kit):
    modules = ("lilliput.stages.prepare", "rensa")
    with kit.ForkServer(HERE / "small_corpus.py", "build", modules) as running:
        yield running


@pytest.fixture(scope="module")
def small(corpus, server, tmp_path_factory):
    """(folder of texts, durable calls of a whole attempt, the files it leaves)"""
    folder = tmp_path_factory.mktemp("small")
    corpus.write(folder / "text", 2, 5)
    calls = server.trace({"home": str(folder / "home"), "text": str(folder / "text")}, into=folder / "trace")
    return str(folder / "text"), calls, files(folder / "home")


def files(home: Path) -> dict[str, bytes]:
    """Every file below a home, hidden ones too."""
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


EVERY = [False, pytest.param(True, marks=pytest.mark.slow)]


@pytest.fixture(params=EVERY, ids=["places", "calls"])
def chosen(request, kit, small):
    """Numbers of durable calls: the first of each place in the code, or every one."""
    calls = small[1]
    return range(1, len(calls) + 1) if request.param else kit.distinct_sites(calls)


@pytest.mark.parametrize("kind", ["kill", "killmid"])
def test_killed_at_any_durable_call_and_rerun_a_corpus_is_the_same_bytes(server, small, chosen, in_memory, kind):
    text, calls, expected = small
    assert {name.split("/")[0] for name in expected} == {"clean", "shards"}
    for number in chosen:
        home = in_memory / str(number)
        assert server.run({"home": str(home), "text": text}, fault=f"{kind}@{number}") == -signal.SIGKILL
        assert server.run({"home": str(home), "text": text}) == 0
        assert files(home) == expected, calls[number - 1]


def test_a_disk_full_at_any_durable_call_is_said_and_leaves_no_half_of_anything(server, small, chosen, in_memory):
    text, calls, expected = small
    for number in chosen:
        home = in_memory / str(number)
        assert server.run({"home": str(home), "text": text}, fault=f"ENOSPC@{number}") == Exit.DISK_FULL
        assert files(home).items() <= expected.items(), calls[number - 1]
        assert server.run({"home": str(home), "text": text}) == 0
        assert files(home) == expected


def test_a_file_that_was_cleaned_before_the_kill_is_not_cleaned_again(server, small, in_memory, tmp_path):
    text, calls, _ = small
    done = [call["number"] for call in calls if call["operation"] == "rename" and "/clean/" in call["to"]]
    assert server.run({"home": str(in_memory), "text": text}, fault=f"kill@{done[0] + 1}") == -signal.SIGKILL
    again = server.trace({"home": str(in_memory), "text": text}, into=tmp_path / "trace")
    assert 0 < sum(call["operation"] == "rename" and "/clean/" in call["to"] for call in again) == len(done) - 1


def test_any_number_of_workers_makes_the_same_bytes(corpus, server, in_memory, tmp_path, figure):
    corpus.write(tmp_path / "text", 6, 40)
    for workers in (1, 2, 4):
        task = {"home": str(in_memory / str(workers)), "text": str(tmp_path / "text"), "workers": workers, "near": True}
        assert server.run(task) == 0
    assert files(in_memory / "1") == files(in_memory / "2") == files(in_memory / "4")
    figure("a corpus made by 1, 2 and 4 workers: 0 bytes differ")


@pytest.mark.parametrize("clean", [True, False])
def test_one_byte_that_changes_while_size_and_time_stay_is_noticed(corpus, server, in_memory, tmp_path, clean, figure):
    corpus.write(tmp_path / "text", 2, 5)
    task, changed = {"text": str(tmp_path / "text"), "clean": clean}, tmp_path / "text" / "1.txt"
    assert server.run({**task, "home": str(in_memory / "home")}) == 0
    before, status, data = files(in_memory / "home"), changed.stat(), bytearray(changed.read_bytes())
    for place in (0, len(data) // 2, len(data) - 1):
        data[place] ^= 1
        changed.write_bytes(data)
        os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert (changed.stat().st_size, changed.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
        fresh = in_memory / str(place)
        assert server.run({**task, "home": str(in_memory / "home")}) == server.run({**task, "home": str(fresh)}) == 0
        found, expected = files(in_memory / "home"), files(fresh)
        assert expected.items() <= found.items() and len(found) > len(before)
        before = found
    figure("{} bytes of a source changed, size and time kept: all noticed", 3)


@pytest.mark.parametrize("times", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_at_random_moments_with_two_processes_a_corpus_is_the_same_bytes(
    corpus, server, in_memory, tmp_path, times, figure
):
    corpus.write(tmp_path / "text", 6, 120)
    task = {"text": str(tmp_path / "text"), "workers": 2, "near": True}
    began = time.monotonic()
    assert server.run({**task, "home": str(in_memory / "whole")}) == 0
    seconds, expected = time.monotonic() - began, files(in_memory / "whole")
    chance, killed = random.Random(times), 0
    while killed < times:
        home = in_memory / str(killed)
        while (
            server.run({**task, "home": str(home)}, after=chance.uniform(0.01, seconds), group=killed % 2 == 0)
            == -signal.SIGKILL
        ):
            killed += 1
        assert left(home, expected) == expected
    figure(f"a corpus by two processes, {killed} kills at random, every other one of all three: 0 bytes differ")


def left(home: Path, expected: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a home, once processes whose parent was killed have ended too."""
    deadline = time.monotonic() + 10
    while files(home) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return files(home)
