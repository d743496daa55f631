"""A shelf: files that change together, whole or not at all, whatever happens on the way."""

import json
import shutil

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import durable
from lilliput.runs.damage import Damaged
from lilliput.runs.faults import faults
from lilliput.runs.lock import RunLock
from lilliput.runs.sealed import hash_file, regular_file, seal
from lilliput.runs.shelf import FORMAT, LOCK, MANIFEST, Shelf


@pytest.fixture(autouse=True)
def no_fault_left():
    yield
    faults.reset()


def writing(text):
    return lambda path: durable.write_new(path, text.encode())


def put(folder, **texts):
    Shelf(folder, ".txt").put({name: writing(text) for name, text in texts.items()})


def held(folder):
    """name -> text of each file, every one checked against its record."""
    found = {}
    for name, kept in Shelf(folder, ".txt").kept().items():
        with regular_file(kept.path) as descriptor:
            assert kept.record is None or hash_file(descriptor) == kept.record.sha256
        found[name] = kept.path.read_text()
    return found


def test_what_is_put_is_found_by_its_name_and_its_hash_and_the_rest_stays(tmp_path):
    put(tmp_path / "shelf", a="1", b="2")
    put(tmp_path / "shelf", b="3")
    put(tmp_path / "shelf", b="4", c="5")
    assert held(tmp_path / "shelf") == {"a": "1", "b": "4", "c": "5"}
    names = {path.name for path in (tmp_path / "shelf").iterdir()}
    assert names == {"a.v1.txt", "b.v3.txt", "c.v1.txt", MANIFEST, LOCK}


def test_a_folder_that_is_not_there_holds_nothing_and_is_not_made(tmp_path):
    assert held(tmp_path / "none") == {}
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", ["ENOSPC", "EDQUOT", "EIO"])
def test_an_error_at_any_call_changes_nothing_or_everything_and_the_next_attempt_leaves_no_trace(tmp_path, kind):
    put(tmp_path / "start", a="1", b="2", c="0")
    calls = []
    for number in range(1, 40):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "start", folder)
        faults.reset(f"{kind}@{number}", calls)
        try:
            put(folder, a="3", b="4")
            failed = False
        except OSError:
            failed = True
        faults.reset()
        assert held(folder) in ({"a": "1", "b": "2", "c": "0"}, {"a": "3", "b": "4", "c": "0"})
        assert failed or held(folder)["a"] == "3"
        put(folder, a="5", b="6")
        assert held(folder) == {"a": "5", "b": "6", "c": "0"}
        assert (
            len([path for path in folder.iterdir() if not path.name.startswith(".tmp-")]) == 5
        )  # our own is not swept
    assert 12 < len(calls) / 39 < 25


def test_files_of_before_there_was_a_manifest_are_read_and_get_one_when_the_first_is_put(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "b.txt").write_text("older")
    assert held(tmp_path) == {"a": "old", "b": "older"}
    put(tmp_path, a="new")
    assert held(tmp_path) == {"a": "new", "b": "older"}
    assert {path.name for path in tmp_path.iterdir()} == {"a.v1.txt", "b.txt", MANIFEST, LOCK}
    assert Shelf(tmp_path, ".txt").kept()["b"].record.size == 5


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_text(path.read_text().replace("a.v1", "b.v1")),
        lambda path: path.write_bytes(
            seal({"format": FORMAT, "files": {"a": {"file": "../x", "size": 1, "sha256": ""}}})
        ),
        lambda path: path.write_bytes(seal({"format": FORMAT})),
    ],
    ids=["missing", "empty", "cut", "changed", "a file elsewhere", "no files"],
)
def test_a_damaged_manifest_is_refused_and_never_written_over(tmp_path, harm):
    put(tmp_path, a="1", b="2")
    harm(tmp_path / MANIFEST)
    with pytest.raises(Damaged):
        held(tmp_path)
    with pytest.raises(Damaged):
        put(tmp_path, a="3")
    assert (tmp_path / "a.v1.txt").read_text() == "1"


def test_a_newer_format_is_refused(tmp_path):
    put(tmp_path, a="1")
    document = json.loads((tmp_path / MANIFEST).read_text()) | {"format": FORMAT + 1}
    (tmp_path / MANIFEST).write_bytes(seal(document))
    with pytest.raises(LilliputError) as caught:
        held(tmp_path)
    assert caught.value.code is Exit.UNAVAILABLE


def test_a_second_writer_waits_and_then_says_that_it_is_locked(tmp_path, monkeypatch):
    monkeypatch.setattr("lilliput.runs.shelf.WAIT_SECONDS", 0.1)
    put(tmp_path, a="1")
    with RunLock(tmp_path / LOCK), pytest.raises(LilliputError) as caught:
        put(tmp_path, a="2")
    assert caught.value.code is Exit.LOCKED
    put(tmp_path, a="2")
    assert held(tmp_path) == {"a": "2"}
