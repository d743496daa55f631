"""The four mixtures of books and encyclopaedia, on real books with stand-ins that the output names."""

import shutil
from pathlib import Path

import pytest

from lilliput.stages.building import Built, build, preparation

BOOKS = ("11_alice-s-adventures-in-wonderland", "35_the-time-machine", "14881_the-log-school-house-on-the-columbia")
STAND_INS = {
    "balanced": ["data.sources[1].name=wikitext-2-v1", "data.sources[2].name=wikitext-2-v1"],
    "heavy": ["data.sources[1].name=wikitext-2-v1"],
    "only": [],
    "custom": ["data.sources[2].name=wikitext-2-v1"],
}
SHARES = {"balanced": [0.6, 0.3, 0.1], "heavy": [0.8, 0.2], "only": [1.0], "custom": [0.5, 0.3, 0.2]}
PLAIN = ["data.split=hash", "tokenizer={kind: bytes}"]
WHOLE = "data.split={kind: hash, validation: 0.0}"


@pytest.fixture
def books(sample_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sample data with three of its books."""
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LILLIPUT_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "books").mkdir(parents=True)
    for name in BOOKS:
        shutil.copy(sample_data / "books" / f"{name}.txt", tmp_path / "data" / "books")
    for name in ("wikitext2", "hf_schema_fixtures"):
        (tmp_path / "data" / name).symlink_to(sample_data / name)
    return tmp_path / "data" / "books"


def built(name: str, *words: str) -> Built:
    return build(preparation(f"corpus/{name}", [*STAND_INS[name], *PLAIN, *words]))


def text(found: Built, source: int = 0) -> str:
    return found.data.train[source].tokens.astype("u1").tobytes().decode("utf-8", "replace")


@pytest.mark.parametrize("name", STAND_INS)
def test_a_mixture_has_its_shares_and_says_what_stands_in_for_what(books, name):
    found = built(name)
    assert [share for (share,) in found.shares] == pytest.approx(SHARES[name])
    assert found.provenance[0].startswith("bookcorpus (public-domain books in its place from LILLIPUT_DATA: books)")
    for label, provenance in zip(found.labels, found.provenance, strict=True):
        is_stand_in = label == "wikitext-2-v1"
        assert ("validation part of 1,121,681 bytes from LILLIPUT_DATA" in provenance) == is_stand_in
    for funnel in found.funnels:
        assert funnel.documents == funnel.kept + funnel.dropped.total()
    kept = sum(funnel.kept for funnel in found.funnels)
    assert sum(shard.num_documents for _, _, shard in found.shards()) == kept


def test_headers_of_books_are_removed_or_stay_as_the_recipe_says(books):
    with_headers = built("only", "data.sources[0].rules=[encoding]", WHOLE)
    without = built("only", WHOLE)
    assert text(with_headers).count("START OF TH") == 3
    assert "START OF TH" not in text(without)
    assert "Project Gutenberg License" not in text(without)
    assert "Alice was beginning to get very tired" in text(without)
    assert without.funnels[0].edited["gutenberg"] == 3


def test_short_texts_are_removed_or_stay_as_the_recipe_says(books):
    chunks = ["data.sources[0].chapter_boundaries=true", "data.sources[0].chunk_words=200", WHOLE]
    rules = "data.sources[0].rules=[encoding, gutenberg, {kind: short, min_words: %d}]"
    few, many = (built("only", *chunks, rules % words).funnels[0] for words in (50, 150))
    assert 0 < few.dropped["too short"] < many.dropped["too short"]
    none = built("only", *chunks, "data.sources[0].rules=[encoding, gutenberg]").funnels[0]
    assert none.dropped["too short"] == 0
    assert none.kept == few.kept + few.dropped["too short"]


def test_encoding_is_repaired_or_stays_as_the_recipe_says(books):
    book = books / "11_alice-s-adventures-in-wonderland.txt"
    body = book.read_text("utf-8").replace("the White Rabbit", "the fiancÃ©e of the White Rabbit")
    book.write_text(body, "utf-8")
    repaired, plain = (
        text(built("only", f"data.sources[0].rules=[{rules}]", WHOLE)) for rules in ("encoding, gutenberg", "gutenberg")
    )
    assert ("fiancée" in repaired, "fiancÃ©e" in repaired) == (True, False)
    assert ("fiancée" in plain, "fiancÃ©e" in plain) == (False, True)


def test_equal_books_are_removed_or_stay_as_the_recipe_says(books):
    shutil.copy(books / f"{BOOKS[1]}.txt", books / "another-copy.txt")
    found = built("only", WHOLE)
    assert (found.funnels[0].kept, dict(found.funnels[0].dropped)) == (3, {"exact duplicate": 1})
    assert built("only", "data.cleaning.duplicates=null", WHOLE).funnels[0].kept == 4


def test_raw_text_is_cleaned_and_tokenised_on_the_way_where_nothing_is_prepared(books, tmp_path):
    recipe = tmp_path / "raw.yaml"
    recipe.write_text(f"data: {{sources: {books}/35*.txt, cleaning: {{rules: [gutenberg]}}}}\n", "utf-8")
    found = build(preparation(str(recipe)))
    assert found.data.train[0].num_documents == 1
    assert "START OF TH" not in text(found)
