"""The seam: what it writes is whole, synced and private; what fails is never called a success."""

import ast
import errno
import fcntl
import hashlib
import os
import stat
import sys
from pathlib import Path

import pytest

from lilliput.config.errors import Exit
from lilliput.runs import durable
from lilliput.runs.faults import Call, faults


@pytest.fixture
def calls():
    trace: list[Call] = []
    faults.reset(trace=trace)
    yield trace
    faults.reset()


@pytest.fixture
def failing():
    yield lambda kind, number: faults.reset(f"{kind}@{number}")
    faults.reset()


def operations(calls):
    return [call.operation for call in calls]


def test_a_new_file_is_private_synced_and_hashed(tmp_path, calls):
    record = durable.write_new(tmp_path / "a", [b"one", b"", memoryview(b"two")])
    assert record == durable.FileRecord(6, hashlib.sha256(b"onetwo").hexdigest())
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert operations(calls) == ["create", "write", "write", "fsync"]


def test_space_is_allocated_before_the_first_byte(tmp_path, calls):
    durable.write_new(tmp_path / "a", [b"x" * 100], size=100)
    assert operations(calls)[:3] == ["create", "allocate", "write"]


def test_fewer_bytes_than_announced_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(ValueError, match="5 bytes written, 9 announced"):
        durable.write_new(tmp_path / "a", b"12345", size=9)
    assert not list(tmp_path.iterdir())


def test_an_existing_file_or_a_planted_link_is_never_overwritten(tmp_path):
    (tmp_path / "mine").write_bytes(b"keep")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for name in ("mine", "link"):
        with pytest.raises(FileExistsError):
            durable.write_new(tmp_path / name, b"other")
    assert (tmp_path / "mine").read_bytes() == b"keep"


@pytest.mark.parametrize("kind", ["ENOSPC", "EDQUOT", "EIO"])
def test_an_error_at_any_primitive_leaves_the_old_file_whole_and_nothing_else(tmp_path, calls, failing, kind):
    durable.replace(tmp_path / "a", b"old")
    for number in range(1, len(calls) + 1):
        faults.reset(f"{kind}@{number}")
        with pytest.raises(OSError, match="a"):
            durable.replace(tmp_path / "a", b"new!")
        faults.reset()
        renamed = number == len(calls)  # only the directory's own sync comes after the rename
        assert (tmp_path / "a").read_bytes() == (b"new!" if renamed else b"old")
        durable.replace(tmp_path / "a", b"old")
        durable.sweep(tmp_path)


def test_replacing_syncs_the_file_before_and_the_directory_after_the_rename(tmp_path, calls):
    durable.replace(tmp_path / "a", b"text")
    assert operations(calls) == ["create", "write", "fsync", "rename", "sync_dir"]
    assert calls[3].to == str(tmp_path / "a") and calls[1].data == b"text"


def test_the_trace_names_the_caller_outside_the_seam(tmp_path, calls):
    durable.replace(tmp_path / "a", b"text")
    assert {call.site.split(":")[0] for call in calls} == {"test_durable.py"}
    assert len({call.site for call in calls}) == 1


def test_an_appender_writes_each_record_in_one_call_and_syncs_a_new_name(tmp_path, calls):
    log = durable.Appender(tmp_path / "log")
    log.write(b"one\n")
    log.write(b"two\n")
    log.sync()
    log.sync()
    log.close()
    assert operations(calls) == ["create", "append", "append", "fsync", "sync_dir", "fsync"]
    again = durable.Appender(tmp_path / "log")
    again.write(b"three\n")
    again.close()
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\nthree\n"


def test_a_failed_append_is_taken_back_and_the_next_one_follows_whole(tmp_path, monkeypatch):
    log = durable.Appender(tmp_path / "log")
    log.write(b"first\n")
    write = os.write

    def half_then_full(descriptor, data):
        monkeypatch.setattr(os, "write", full)
        return write(descriptor, data[: len(data) // 2])

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "write", half_then_full)
    with pytest.raises(OSError, match="no space"):
        log.write(b"second\n")
    monkeypatch.setattr(os, "write", write)
    log.write(b"third\n")
    log.close()
    assert (tmp_path / "log").read_bytes() == b"first\nthird\n"


def test_a_failed_sync_is_final_for_the_file(tmp_path, failing):
    log = durable.Appender(tmp_path / "log")
    log.write(b"first\n")
    failing("EIO", 1)
    for _ in range(3):
        with pytest.raises(OSError) as caught:
            log.sync()
        assert caught.value.errno == errno.EIO
    with pytest.raises(OSError):
        log.write(b"second\n")
    log.close()


def test_an_error_while_closing_is_an_error(tmp_path, monkeypatch):
    close = os.close

    def quota(descriptor):
        close(descriptor)
        raise OSError(errno.EDQUOT, "quota")

    monkeypatch.setattr(os, "close", quota)
    with pytest.raises(OSError, match="quota"):
        durable.write_new(tmp_path / "a", b"text")


def test_directories_are_private_and_a_new_one_is_new(tmp_path):
    durable.make_dir(tmp_path / "a" / "b")
    durable.make_dir(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    with pytest.raises(FileExistsError):
        durable.make_dir(tmp_path / "a", new=True)


def test_a_tree_disappears_under_its_name_before_any_of_it_is_removed(tmp_path, calls):
    durable.make_dir(tmp_path / "a" / "b")
    durable.write_new(tmp_path / "a" / "b" / "c", b"text")
    del calls[:]
    durable.remove_tree(tmp_path / "a")
    assert operations(calls) == ["rename", "sync_dir", "unlink", "rmdir", "rmdir"]
    assert not list(tmp_path.iterdir())


def test_sweeping_removes_what_others_left_and_nothing_else(tmp_path):
    own = durable.scratch(tmp_path, "mine")
    own.write_bytes(b"")
    (tmp_path / ".tmp-9-1-abcd-0").mkdir()
    (tmp_path / ".tmp-9-1-abcd-0" / "half").write_bytes(b"half")
    (tmp_path / ".dead-step-1-1-abcd-0").symlink_to(tmp_path.parent)
    (tmp_path / ".hidden").write_bytes(b"")
    durable.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {own.name, ".hidden"}
    assert tmp_path.parent.exists()


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (errno.ENOSPC, Exit.DISK_FULL),
        (errno.EDQUOT, Exit.DISK_FULL),
        (errno.EIO, Exit.IO),
        (errno.ENOENT, Exit.MISSING),
    ],
)
def test_every_error_of_the_file_system_has_an_exit_code_and_names_the_file(code, exit_code):
    error = durable.explain(OSError(code, os.strerror(code), "/some/file"))
    assert error.code is exit_code and "/some/file" in error.cause and "\n" not in error.cause


@pytest.mark.parametrize("fault", ["kil@3", "kill@", "kill", "EIO@x", "EPERM@1"])
def test_an_unknown_fault_is_refused(fault):
    with pytest.raises(ValueError, match="LILLIPUT_FAULT"):
        faults.reset(fault)
    faults.reset()


def test_on_a_mac_a_sync_reaches_the_drive_and_where_it_cannot_it_is_a_plain_one(tmp_path, monkeypatch):
    asked, plain = [], []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda descriptor, command: asked.append(command))
    monkeypatch.setattr(os, "fsync", plain.append)
    durable.replace(tmp_path / "a", b"text")
    assert asked == [51, 51] and plain == []  # the file and its folder

    def unsupported(descriptor, command):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "fcntl", unsupported)
    durable.replace(tmp_path / "a", b"other")
    assert len(plain) == 2
    assert "F_FULLFSYNC" in durable.weaker()[0]


def test_on_windows_files_are_synced_and_folders_are_not_and_that_is_said(tmp_path, monkeypatch, calls):
    monkeypatch.setattr(sys, "platform", "win32")
    durable.replace(tmp_path / "a", b"text")
    assert operations(calls) == ["create", "write", "fsync", "rename"]
    assert "folders cannot be synced" in durable.weaker()[0]


def test_on_linux_nothing_is_weaker(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert durable.weaker() == []


def test_what_the_seam_writes_is_neither_buffered_nor_closed_by_itself():
    """An error at an implicit close is swallowed: descriptors only, each written by one function and synced, closed."""
    source = Path(durable.__file__).read_text()
    named = {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}
    opening = {name for name in named if name.split(".")[-1] in {"open", "fdopen", "NamedTemporaryFile", "mkstemp"}}
    assert opening == {"os.open"}
    bodies = {node.name: ast.unparse(node) for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    assert all("os.close(descriptor)" in body for body in bodies.values() if "os.open(" in body)
    assert "_sync(descriptor, path)" in bodies["write_new"]
