import pytest

from lilliput.inference.generate import Completion
from lilliput.stages.opened import open_model
from lilliput.stages.prepare import texts
from lilliput.stages.writing import examine


@pytest.fixture
def opened(finished):
    finished()
    return open_model("small", "cpu")


def written(opened, *words: str) -> list[Completion]:
    return [Completion(0, i, text, tuple(opened.tokenizer.encode(text)), "length") for i, text in enumerate(words)]


def test_the_longest_stretch_from_the_training_text_is_named(opened):
    [(_, training)] = texts(opened.recipe.data.sources, opened.recipe.data, "train")
    taken = training[40:90]
    found = examine(opened, written(opened, "~~~", f"~~{taken}~~"))
    assert found.verbatim == taken
    assert found.compared == len(training)


def test_held_out_text_counts_as_not_taken_over(opened):
    [(_, held_out)] = texts(opened.recipe.data.sources, opened.recipe.data, "validation")
    assert len(examine(opened, written(opened, held_out)).verbatim) < len(held_out) / 2


def test_loops_and_broken_characters_are_counted(opened):
    loop = "round and round and " * 8
    found = examine(opened, written(opened, loop, "each word differs from all others here"))
    assert 0.4 < found.repetition < 0.5  # one of two texts repeats itself
    assert found.distinct < 0.5
    assert found.utf8_validity == 1
    broken = Completion(0, 0, "\ufffd\ufffda", (0x80, 0x81, 0x61), "length")
    assert examine(opened, [broken]).utf8_validity == pytest.approx(1 / 3)
