"""The preprocessing that the guide of BookCorpus names: each option changes the sample books as it says."""

import json
from pathlib import Path
from typing import Any

import pytest

from lilliput.config import load
from lilliput.corpus.cleaning import Cleaning, Funnel, cleaned, expand_cleaning
from lilliput.corpus.document import Document

OPTIONS = ["encoding", "gutenberg", "notices", {"kind": "short", "min_words": 50}]
"""clean_encoding, remove_headers (twice: of books and of their rows), remove_short_texts with min_words."""


@pytest.fixture
def chunks(sample_data: Path) -> list[Document]:
    """Books in their file's style, stories with mojibake, and rows too short to learn from."""
    found = []
    for name in ("11_alice-s-adventures-in-wonderland", "variants/11_alice_old_smallprint", "768_wuthering-heights"):
        text = (sample_data / "books" / f"{name}.txt").read_bytes().decode("utf-8-sig")
        found.append(Document(text, "books", name))
    rows = (sample_data / "tinystories" / "train_sample.jsonl").read_text("utf-8").splitlines()
    found += [Document(json.loads(row)["text"], "books", str(number)) for number, row in enumerate(rows)]
    found += [Document("oh dear !", "books", "row"), Document("i shall be late ! " * 9, "books", "row")]
    return found


def after(rules: list[Any], documents: list[Document]) -> tuple[list[str], Funnel]:
    config = load.load(Cleaning, expand_cleaning({"rules": rules}))
    funnel = Funnel()
    kept = [document.text for document in cleaned(documents, config.rules, funnel)]
    assert funnel.documents == len(documents) == funnel.kept + funnel.dropped.total()
    return kept, funnel


def test_without_options_nothing_changes(chunks: list[Document]):
    kept, funnel = after([], chunks)
    assert kept == [document.text for document in chunks]
    assert not funnel.edited and not funnel.dropped


def test_short_texts_are_removed_by_their_words_and_no_other(chunks: list[Document]):
    kept, funnel = after([{"kind": "short", "min_words": 50}], chunks)
    assert kept == [document.text for document in chunks if len(document.text.split()) >= 50]
    assert funnel.dropped["too short"] == len(chunks) - len(kept) > 1
    assert len(after([{"kind": "short", "min_words": 10}], chunks)[0]) > len(kept)


def test_encoding_is_cleaned_where_it_is_damaged_and_only_there(chunks: list[Document]):
    kept, funnel = after(["encoding"], chunks)
    assert any("â€" in document.text for document in chunks)
    assert not any("â€" in text for text in kept)
    assert funnel.edited["encoding"] == sum(document.text != text for document, text in zip(chunks, kept, strict=True))
    assert funnel.kept == len(chunks)


def test_headers_are_removed_from_books_and_stories_stay(chunks: list[Document]):
    kept, funnel = after(["gutenberg", "notices"], chunks)
    assert not any("Gutenberg" in text for text in kept)
    assert funnel.edited["gutenberg"] == 3
    assert kept[3:] == [document.text for document in chunks[3:]]


def test_short_books_and_repetitive_ones_are_filtered(chunks: list[Document]):
    loop = Document("and then she said so to him . " * 400, "books", "loop")
    kept, funnel = after([{"kind": "short", "min_words": 1000}, "repetition"], [*chunks, loop])
    assert len(kept) == 3
    assert [reason for reason in funnel.dropped if reason.startswith("repetition")] != []
    assert funnel.dropped["too short"] == len(chunks) - 3


def test_all_options_together_keep_the_sum(chunks: list[Document]):
    kept, funnel = after(OPTIONS, chunks)
    assert funnel.edited["encoding"] and funnel.edited["gutenberg"] and funnel.dropped["too short"]
    assert len(kept) == funnel.kept
