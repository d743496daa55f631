"""Kills and errors at every durable call of writing a shard: it is whole, or it is not there."""

import signal
from pathlib import Path

import pytest

from lilliput.config.errors import Exit
from lilliput.tokens.shards import Shard


@pytest.fixture(scope="module")
def server(kit):
    with kit.ForkServer(Path(__file__).with_name("small_shard.py"), "write") as running:
        yield running


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory):
    """(number of durable calls of an uninterrupted attempt, the files it leaves)"""
    folder = tmp_path_factory.mktemp("whole")
    calls = server.trace({"path": str(folder / "shards" / "key")}, into=folder / "trace")
    return len(calls), files(folder / "shards")


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_if_seen(folder):
    if folder.exists():
        Shard.open(folder).verify()


@pytest.mark.parametrize("kind", ["kill", "killmid"])
def test_a_shard_killed_at_any_durable_call_is_whole_or_absent(server, whole, in_memory, kind):
    count, expected = whole
    for number in range(1, count + 1):
        folder = in_memory / str(number) / "key"
        assert server.run({"path": str(folder)}, fault=f"{kind}@{number}") == -signal.SIGKILL
        check_if_seen(folder)
        assert server.run({"path": str(folder)}) == 0
        assert files(folder.parent) == expected
        assert [path.name for path in folder.parent.iterdir()] == ["key"]


def test_a_disk_that_is_full_at_any_durable_call_leaves_nothing_behind(server, whole, in_memory):
    count, expected = whole
    for number in range(1, count + 1):
        folder = in_memory / str(number) / "key"
        assert server.run({"path": str(folder)}, fault=f"ENOSPC@{number}") == Exit.DISK_FULL
        check_if_seen(folder)
        assert not folder.parent.exists() or {path.name for path in folder.parent.iterdir()} <= {"key"}
        assert server.run({"path": str(folder)}) == 0
        assert files(folder.parent) == expected
