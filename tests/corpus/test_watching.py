import pytest

from lilliput.config.load import load
from lilliput.corpus import watching
from lilliput.corpus.cleaning import Cleaning
from lilliput.corpus.left import clean_sources
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.text import TextSource
from lilliput.corpus.split import SplitConfig


@pytest.fixture
def seen(monkeypatch):
    """(what, done, files, documents, total, bytes, over) of all that could be seen, as it was then."""
    monkeypatch.setattr(watching, "EACH", -1.0)
    found = []

    def look(work):
        found.append((work.name, work.done, work.files, work.documents, work.total, work.bytes, work.is_over))

    with watching.watched(look):
        yield found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))
    for number in range(3):
        texts = [f"text {number} {i}" for i in range(4)]
        (tmp_path / f"{number}.txt").write_text("\n<|endoftext|>\n".join(texts), "utf-8")
    return tmp_path


def cleaned(folder, **cleaning):
    (source,) = clean_sources(
        [TextSource(path=str(folder))], load(Cleaning, cleaning, origin="test"), Reading(), SplitConfig()
    )
    return source


@pytest.mark.parametrize("workers", [1, 2])
def test_cleaning_is_counted_in_files_documents_and_bytes_by_one_process_or_several(seen, folder, workers):
    list(cleaned(folder, rules=[{"kind": "short", "min_words": 2}], workers=workers).documents(Reader(Reading())))
    name = f"cleaning {folder}"
    assert seen[-1] == (name, 3, 3, 12, None, 12 * len("text 0 0"), True)
    assert {(1, 4), (2, 8), (3, 12)} <= {(row[1], row[3]) for row in seen}
    assert [row[3] for row in seen] == sorted(row[3] for row in seen), "no document is counted twice"


def test_each_look_through_all_sources_is_seen_with_the_documents_there_are(seen, folder):
    list(cleaned(folder, duplicates={"near": {}, "lines": {}}, workers=1).documents(Reader(Reading())))
    over = [row for row in seen if row[-1]]
    passes = [f"all sources: {doing}" for doing in ["duplicates"] * 3 + ["what is left"]]
    assert [row[0] for row in over] == [f"counting {folder}", *passes]
    assert {(row[3], row[4]) for row in over[1:]} == {(12, 12)}


def test_work_inside_other_work_takes_none_of_its_time_and_counts_for_itself(seen, monkeypatch):
    clock = iter(range(1_000))
    monkeypatch.setattr(watching, "monotonic", lambda: float(next(clock)))
    with watching.working("outer") as outer:
        outer.add(1, 10)
        before = outer.seconds
        with watching.working("inner") as inner:
            for _ in range(50):
                inner.add(1, 1)
        assert outer.seconds < before + 20
    assert (outer.documents, inner.documents) == (1, 50)


def test_nobody_is_told_after_watching_and_an_error_ends_the_work(seen):
    with pytest.raises(ValueError), watching.working("broken"):
        raise ValueError
    assert seen[-1][0] == "broken" and seen[-1][-1]
    told = []
    with watching.watched(told.append):
        pass
    with watching.working("unseen"):
        pass
    assert told == []
