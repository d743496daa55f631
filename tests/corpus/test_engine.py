import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import engine, store
from lilliput.corpus.cleaned import Cleaned, total
from lilliput.corpus.cleaning import Funnel, cleaned
from lilliput.corpus.filters.length import ShortRule
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.entry import BEYOND, limited
from lilliput.corpus.sources.text import TextSource
from lilliput.runs.home import clean

RULES = [ShortRule(min_words=4)]
SEPARATOR = "\n<|endoftext|>\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five files; document j of each has j words."""
    (tmp_path / "text").mkdir()
    for i in range(5):
        texts = [" ".join(f"w{i}{j}{k}" for k in range(j)) for j in range(1, 8)]
        (tmp_path / "text" / f"{i}.txt").write_text(SEPARATOR.join(texts), "utf-8")
    return tmp_path / "text"


def source(folder: Path, workers: int = 1, **limits: int) -> Cleaned:
    return Cleaned(TextSource(path=str(folder), **limits), RULES, workers)


def content(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_one_two_and_four_processes_write_the_same_bytes(folder):
    found = []
    for workers in (1, 2, 4):
        texts = [document.text for document in source(folder, workers).documents(Reader(Reading()))]
        assert len(texts) == 20
        found.append(content(clean()))
        shutil.rmtree(clean())
    assert len(found[0]) == 10
    assert found[0] == found[1] == found[2]


def test_documents_come_back_as_their_rules_left_them(folder):
    direct = [d for d in TextSource(path=str(folder)).documents(Reader(Reading())) if len(d.text.split()) >= 4]
    assert list(source(folder).documents(Reader(Reading()))) == direct


def test_what_is_done_is_not_done_again(folder):
    folders = source(folder).folders(Reading(), None)
    stamps = [path.stat().st_mtime_ns for path in folders]
    shutil.rmtree(folders[2])
    assert source(folder).folders(Reading(), None) == folders
    again = [path.stat().st_mtime_ns for path in folders]
    assert [before == after for before, after in zip(stamps, again, strict=True)] == [True, True, False, True, True]


def test_another_rule_option_file_or_reading_meets_no_old_documents(folder):
    roots = [source(folder).folders(Reading(), None)[0].parent]
    roots.append(Cleaned(TextSource(path=str(folder)), [ShortRule(min_words=5)]).folders(Reading(), None)[0].parent)
    roots.append(source(folder).folders(Reading(encoding="latin-1"), None)[0].parent)
    roots.append(source(folder, max_samples=3).folders(Reading(), None)[0].parent)
    (folder / "4.txt").write_text("a b c d e", "utf-8")
    roots.append(source(folder).folders(Reading(), None)[0].parent)
    assert len(set(roots)) == 5


@pytest.mark.parametrize("limits", [{"max_samples": 6}, {"max_bytes": 150}, {"max_samples": 4}, {"max_bytes": 5}])
def test_limits_stop_reading_and_give_what_they_give_without_an_engine(folder, limits):
    plain = TextSource(path=str(folder), **limits)
    expected = list(limited(cleaned(plain.documents(Reader(Reading())), RULES, Funnel()), plain))
    one = source(folder, **limits)
    assert list(limited(one.documents(Reader(Reading())), one)) == expected
    assert 0 < len(one.folders(Reading(), None)) < 5


def test_nothing_is_lost_from_the_count(folder):
    for limits in ({}, {"max_samples": 2}):
        funnel = total(source(folder, **limits).folders(Reading(), None))
        assert funnel.documents == funnel.kept + funnel.dropped.total()
    assert funnel.dropped[BEYOND] == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_file_that_fails_in_their_order_is_the_one_that_is_named(folder, workers):
    for name in ("1.txt", "3.txt"):
        (folder / name).write_bytes(b"one two three four \xff five")
    with pytest.raises(LilliputError, match=r"1\.txt: line 1: byte 19 is no UTF-8") as failed:
        source(folder, workers).folders(Reading(), None)
    assert failed.value.code == Exit.CONTENT
    (folder / "1.txt").write_text("one two three four", "utf-8")
    (folder / "3.txt").write_text("one two three four", "utf-8")
    assert len(source(folder, workers).folders(Reading(), None)) == 5


def test_a_file_that_changes_while_it_is_read_is_refused_and_nothing_is_kept(folder, monkeypatch):
    run = engine.run

    def changing(jobs, workers):
        done = run(jobs, workers)
        (folder / "0.txt").write_text("quite another text than before", "utf-8")
        return done

    monkeypatch.setattr(engine, "run", changing)
    with pytest.raises(LilliputError, match="changed while it was read"):
        source(folder).folders(Reading(), None)
    assert list(clean().iterdir()) == []


def test_a_damaged_result_is_named_with_the_way_out(folder):
    path = source(folder).folders(Reading(), None)[0] / store.DOCUMENTS
    data = path.read_bytes()
    for damaged in (data[:-1], data[:20] + bytes([data[20] ^ 1]) + data[21:]):
        path.write_bytes(damaged)
        with pytest.raises(LilliputError, match="are damaged") as failed:
            list(source(folder).documents(Reader(Reading())))
        assert failed.value.action.startswith("delete the folder")


def test_a_draft_whose_process_was_still_dying_when_its_piece_was_begun_anew_is_removed_by_the_next_build_r18(folder):
    folders = source(folder).folders(Reading(), None)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    draft = folders[0].parent / f".tmp-{folders[0].name}-{dead.pid}-0a0a-0"
    draft.mkdir()
    source(folder).folders(Reading(), None)
    assert not draft.exists()
