import shutil
from pathlib import Path

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.cleaning import Cleaning
from lilliput.corpus.contamination import Contamination
from lilliput.corpus.document import Document, Dropped
from lilliput.corpus.duplicates import Duplicates, Lines
from lilliput.corpus.filters.length import ShortRule
from lilliput.corpus.left import clean_sources
from lilliput.corpus.near import Near
from lilliput.corpus.outcomes import through
from lilliput.corpus.perplexity import Perplexity
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.published import PublishedSource
from lilliput.corpus.sources.text import TextSource
from lilliput.corpus.split import SplitConfig
from lilliput.runs.home import clean

SEPARATOR = "\n<|endoftext|>\n"
LONG = " ".join(f"word{number}" for number in range(60))
NEARLY = LONG.replace("word30", "other")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))


@pytest.fixture
def written(tmp_path):
    def write(name: str, *texts: str) -> TextSource:
        path = tmp_path / f"{name}.txt"
        path.write_text(SEPARATOR.join(texts), "utf-8")
        return TextSource(path=str(path))

    return write


def left(sources, split: SplitConfig | None = None, **cleaning):
    entries = clean_sources(sources, Cleaning(**cleaning), Reading(), split or SplitConfig())
    return [[document.text for document in entry.documents(Reader(Reading()))] for entry in entries]


def funnels(sources, **cleaning):
    return [e.funnel(Reading()) for e in clean_sources(sources, Cleaning(**cleaning), Reading(), SplitConfig())]


def test_the_first_of_equal_documents_stays_whatever_source_the_others_are_of(written):
    sources = written("a", "one", "two", "one"), written("b", "three", "two")
    assert left(sources, duplicates=Duplicates()) == [["one", "two"], ["three"]]
    assert left(sources, duplicates=Duplicates(scope="source")) == [["one", "two"], ["three", "two"]]


def test_near_duplicates_leave_and_are_counted_with_what_rules_dropped(written):
    sources = written("a", LONG, "short"), written("b", NEARLY, LONG, "another text of some words")
    wanted = {"duplicates": Duplicates(near=Near()), "rules": (ShortRule(min_words=3),)}
    assert left(sources, **wanted) == [[LONG], ["another text of some words"]]
    first, second = funnels(sources, **wanted)
    assert (first.documents, first.kept, dict(first.dropped)) == (2, 1, {"too short": 1})
    assert (second.documents, second.kept) == (3, 1)
    assert dict(second.dropped) == {"near-duplicate": 1, "exact duplicate": 1}
    assert second.kept_bytes == len("another text of some words")
    assert second.examples["near-duplicate"][0][0] == "b.txt:1"


def test_repeated_lines_leave_their_documents_and_these_are_counted_as_changed(written):
    notice = "This notice stands under every single one of the pages here."
    source = written("a", f"one\n{notice}", f"two\n{notice}", notice)
    assert left([source], duplicates=Duplicates(lines=Lines())) == [[f"one\n{notice}", "two"]]
    (funnel,) = funnels([source], duplicates=Duplicates(lines=Lines()))
    assert dict(funnel.edited) == {"repeated lines": 1}
    assert dict(funnel.dropped) == {"nothing but repeated lines": 1}
    assert funnel.kept_bytes == len(f"one\n{notice}") + len("two")


def test_evaluation_texts_and_strange_documents_leave_after_duplicates(written):
    evaluation = written("evaluation", LONG)
    plain = [
        f"the {a} cat sat on the {b} mat and the dog sat too" for a in ("old", "red") for b in ("new", "big", "wet")
    ]
    strange = "zqx jkv wqz pfx vbk zzx qqj xkw"
    source = written("a", *plain, plain[0], f"see: {LONG}", strange)
    reference = written("reference", *plain)
    wanted = {
        "duplicates": Duplicates(),
        "contamination": Contamination(against=(evaluation.path,)),
        "perplexity": Perplexity(reference=reference.path, keep=0.8),
    }
    (texts,), (funnel,) = left([source], **wanted), funnels([source], **wanted)
    assert strange not in texts
    assert not any(LONG in text for text in texts)
    assert len(texts) == len(set(texts)) == funnel.kept
    assert funnel.documents == 9 == funnel.kept + funnel.dropped.total()
    assert funnel.dropped["exact duplicate"] == funnel.dropped[f"holds text of {evaluation.path}"] == 1


def test_official_validation_texts_stay_whole_and_training_loses_what_they_hold(monkeypatch, tmp_path):
    (tmp_path / "data" / "tinystories").mkdir(parents=True)
    stories = [f"A story about the number {number}." for number in range(4)]
    for name, texts in (("train", stories), ("valid", [stories[2], stories[2], stories[3]])):
        rows = "".join(f'{{"text": "{text}"}}\n' for text in texts)
        (tmp_path / "data" / "tinystories" / f"{name}_sample.jsonl").write_text(rows, "utf-8")
    monkeypatch.setenv("LILLIPUT_DATA", str(tmp_path / "data"))
    cleaning, source = Cleaning(duplicates=Duplicates()), PublishedSource(name="tinystories")
    (entry,) = clean_sources([source], cleaning, Reading(), SplitConfig())
    parts = {part: [d.text for d in entry.documents(Reader(Reading()), part)] for part in ("train", "validation")}
    assert parts == {"train": stories[:2], "validation": [stories[2], stories[2], stories[3]]}


def test_one_and_three_processes_leave_the_same_bytes(written):
    sources = [written(name, *(f"{LONG} {n % 7} {name}" for n in range(20))) for name in "abc"]
    found = []
    for workers in (1, 3):
        left(sources, duplicates=Duplicates(near=Near()), workers=workers)
        files = {path.relative_to(clean()): path.read_bytes() for path in clean().rglob("*") if path.is_file()}
        found.append(files)
        shutil.rmtree(clean())
    assert len(found[0]) == 6
    assert found[0] == found[1]


def test_another_source_step_option_or_evaluation_text_meets_no_old_documents(written):
    a, b, evaluation = written("a", "one", "two"), written("b", "two", "three"), written("e", LONG)

    def key(sources, **cleaning):
        entries = clean_sources(sources, Cleaning(**cleaning), Reading(), SplitConfig())
        return entries[0].fingerprint(), len(list(entries[0].documents(Reader(Reading()))))

    against = Contamination(against=(evaluation.path,))
    keys = [
        key([a, b], duplicates=Duplicates()),
        key([b, a], duplicates=Duplicates()),
        key([a], duplicates=Duplicates()),
        key([a, b], duplicates=Duplicates(near=Near())),
        key([a, b], duplicates=Duplicates(near=Near(threshold=0.7))),
        key([a, b], contamination=against),
    ]
    written("e", NEARLY)
    keys.append(key([a, b], contamination=against))
    written("b", "four")
    keys.append(key([a, b], duplicates=Duplicates()))
    assert len({name for name, _ in keys}) == len(keys)


def test_limits_hold_for_what_duplicates_are_looked_for_in(written):
    source = TextSource(path=written("a", "one", "one", "two", "three").path, max_samples=3)
    assert left([source], duplicates=Duplicates()) == [["one", "two"]]
    (funnel,) = funnels([source], duplicates=Duplicates())
    assert dict(funnel.dropped) == {"beyond the limit": 1, "exact duplicate": 1}


def test_an_unknown_evaluation_set_is_refused(written):
    with pytest.raises(LilliputError, match="'nothing' is no corpus") as refused:
        left([written("a", "one")], contamination=Contamination(against=("nothing",)))
    assert refused.value.code == Exit.RECIPE


def test_a_step_that_reads_ahead_moves_no_outcome_from_its_place():
    documents = [Document(str(number), "a", str(number)) for number in range(9)]
    outcomes = [(d, Dropped("before") if n in (0, 4, 8) else d) for n, d in enumerate(documents)]

    def step(left):
        block = list(left)
        yield from ((d, Dropped("now") if d.text in "135" else d) for d in block)

    found = [(d.text, r.reason if isinstance(r, Dropped) else "") for d, r in through(iter(outcomes), step)]
    reasons = ["before", "now", "", "now", "before", "now", "", "", "before"]
    assert found == [(str(number), reason) for number, reason in enumerate(reasons)]
