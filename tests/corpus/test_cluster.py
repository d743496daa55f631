from pathlib import Path

import pytest

from lilliput.corpus.cleaning import Cleaning
from lilliput.corpus.cluster import Plan, run_locally
from lilliput.corpus.duplicates import Duplicates
from lilliput.corpus.filters.length import ShortRule
from lilliput.corpus.near import Near
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.text import TextSource
from lilliput.corpus.split import SplitConfig
from lilliput.runs.home import clean

SEPARATOR = "\n<|endoftext|>\n"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two folders of texts, some short, some equal to earlier ones, some nearly so, some far from all."""
    for source in "ab":
        (tmp_path / source).mkdir()
        for file in range(3):
            texts = []
            for number in range(40):
                words = [f"w{number}x{k}" for k in range(60)]
                kinds = (
                    words,
                    [f"{source}{file}", *words[1:]],
                    [*words[:30], f"{file}{source}", *words[31:]],
                    words[:3],
                )
                texts.append(" ".join(kinds[number % 4]) + ("" if number % 5 else f" {source}{file} " * 20))
            (tmp_path / source / f"{file}.txt").write_text(SEPARATOR.join(texts), "utf-8")
    sources = tuple(TextSource(path=str(tmp_path / name)) for name in "ab")
    cleaning = Cleaning(rules=(ShortRule(min_words=10),), duplicates=Duplicates(near=Near()))
    return Plan(sources, cleaning, Reading(), SplitConfig())


def kept(plan: Plan) -> list[list[tuple[str, str, int | None]]]:
    entries = [list(entry.documents(Reader(Reading()))) for entry in plan.entries()]
    return [[(document.key, document.text, document.group) for document in documents] for documents in entries]


def files() -> dict[str, bytes]:
    return {str(path.relative_to(clean())): path.read_bytes() for path in clean().rglob("*") if path.is_file()}


def test_datatroves_executors_keep_the_documents_that_the_local_engine_keeps(plan, tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "one"))
    expected, here = kept(plan), files()
    reasons = [entry.funnel(plan.reading).dropped for entry in plan.entries()]
    assert all(reasons[1][reason] for reason in ("too short", "exact duplicate", "near-duplicate"))
    assert all(0 < len(documents) < 90 for documents in expected)
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "two"))
    run_locally(plan, workers=2)
    there = files()
    assert there == here
    assert kept(plan) == expected
    assert files() == there
