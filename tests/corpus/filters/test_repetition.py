import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.repetition import RepetitionRule, _again, _top, repeated, repeated_runs

WORDS = [f"word{number}" for number in range(200)]
PROSE = " ".join(WORDS)


@given(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=40))
def test_repeated_runs_are_those_that_a_plain_search_finds(words: list[str]):
    ends = [sum(map(len, words[:place])) for place in range(len(words) + 1)]
    for n, runs in repeated_runs(words, 10):
        all_runs = [tuple(words[place : place + n]) for place in range(len(words) - n + 1)]
        counts = Counter(all_runs)
        assert sorted(runs) == [place for place, run in enumerate(all_runs) if counts[run] > 1]
        again = [place for place, run in enumerate(all_runs) if run in all_runs[:place]]
        assert _again(runs, n, ends) == _letters(words, again, n)
        top = [run for run in counts if counts[run] == max(counts.values())]
        longest = max(len("".join(run)) for run in top)
        of_top = [[place for place, run in enumerate(all_runs) if run == best] for best in top]
        found = {
            _letters(words, places, n) for places, run in zip(of_top, top, strict=True) if len("".join(run)) == longest
        }
        assert _top(runs, n, ends) in found


def _letters(words: list[str], places: list[int], n: int) -> int:
    return sum(len(words[place]) for place in {place + offset for place in places for offset in range(n)})


def test_runs_stop_where_nothing_is_repeated():
    assert list(repeated_runs(WORDS, 10)) == []
    assert [n for n, _ in repeated_runs([*WORDS, "word5", "word6", "word7"], 10)] == [2, 3]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\n".join(["A."] * 6 + WORDS[:8]), "too many repeated lines"),
        ("\n".join([PROSE[:300]] * 2 + [PROSE[300:700], *WORDS[:5]]), "too much text in repeated lines"),
        ("\n\n".join(["a\nb", "c\nd", "a\nb", "e\nf", "b\na", "a\nb", "g\nh"]), "too many repeated lines"),
        (" ".join(f"of the {word}" for word in WORDS[:60]), "one run of 2 words too often"),
        (f"{PROSE[:700]} {PROSE[:700]}", "too much text in repeated runs of 5 words"),
    ],
)
def test_each_kind_of_repetition_has_its_reason(text: str, reason: str):
    assert RepetitionRule().apply(text) == Dropped(f"repetition: {reason}")


def test_what_stands_there_once_is_no_repetition_however_short():
    for text in ("one", "one two", "one two three four five six", PROSE, "A.\n\nB.\n\nC."):
        assert RepetitionRule().apply(text) == text


def test_the_first_of_equal_lines_does_not_count():
    assert repeated(["aa", "b", "aa", "aa"]) == (2, 4)


def test_thresholds_that_are_moved_move_the_result():
    twice = f"{PROSE[:700]} {PROSE[:700]}"
    lenient = RepetitionRule(max_duplicate=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0), max_top=(1.0, 1.0, 1.0))
    assert lenient.apply(twice) == twice


def test_stories_are_not_repetitive_and_a_looping_model_is(sample_data: Path):
    lines = (sample_data / "tinystories" / "valid_sample.jsonl").read_text("utf-8").splitlines()
    stories = [json.loads(line)["text"] for line in lines]
    assert sum(isinstance(RepetitionRule().apply(story), Dropped) for story in stories) <= len(stories) // 100
    assert isinstance(RepetitionRule().apply("She was happy and she was happy. " * 20), Dropped)
