import json
from pathlib import Path

import pytest

from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.gopher import GopherRule

PROSE = "The old man went to the sea and sat with the boy. " * 10


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The sea and the boy. " * 9, "too few words"),
        ("the sea and the boy " * 20_001, "too many words"),
        ("I am to be of it. " * 20, "words too short"),
        ("the and " + "incomprehensibilities " * 60, "words too long"),
        ("the water and the # boys of Spain " * 10, "too many symbols"),
        ("the water and the boy of... there " * 10, "too many symbols"),
        ("the water 1234 56789 and " * 20, "too few words with letters"),
        ("der alte Mann fuhr zur See und kam nie zurück " * 10, "too few stop words"),
        ("- the water and the boys of the town\n" * 10, "too many bullets"),
        ("the sea and the boy of the town with an old dog...\n" * 6, "too many lines end in an ellipsis"),
    ],
)
def test_each_threshold_has_its_reason(text: str, reason: str):
    assert GopherRule().apply(text) == Dropped(f"gopher: {reason}")


def test_prose_passes_and_a_threshold_that_is_moved_moves_the_result():
    assert GopherRule().apply(PROSE) == PROSE
    assert GopherRule(min_words=200).apply(PROSE) == Dropped("gopher: too few words")
    assert GopherRule(max_words=None).apply("the sea and the boy " * 20_001) == "the sea and the boy " * 20_001
    german = "der alte Mann fuhr zur See und kam nie zurück " * 10
    assert GopherRule(min_stop_words=0).apply(german) == german


def test_stories_are_prose(sample_data: Path):
    lines = (sample_data / "tinystories" / "valid_sample.jsonl").read_text("utf-8").splitlines()
    results = [GopherRule(min_words=1).apply(json.loads(line)["text"]) for line in lines]
    assert sum(isinstance(result, Dropped) for result in results) <= len(results) // 100
