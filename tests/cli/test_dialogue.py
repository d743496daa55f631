import re

import pytest

from lilliput.cli.dialogue import VALUES, obey
from lilliput.cli.generate import _sampling
from lilliput.config.load import dump
from lilliput.inference.sampling import SamplingConfig

START = dump(SamplingConfig())


def after(*lines: str):
    turn = None
    sampling = START
    for line in lines:
        turn = obey(line, sampling, _sampling, "12 tokens in 1.0 s")
        sampling = turn.sampling
    return turn


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("/temp 0.7", "temperature", 0.7),
        ("/topk 5", "top_k", 5),
        ("/topp 0.5", "top_p", 0.5),
        ("/max 7", "max_tokens", 7),
        ("/rep 1.2", "repetition_penalty", 1.2),
        ("/seed 99", "seed", 99),
        ("/greedy", "greedy", True),
    ],
)
def test_a_command_changes_its_setting_and_nothing_else(line, key, value):
    assert after(line).sampling == {**START, key: value}
    assert START[key] != value


@pytest.mark.parametrize("line", ["/quit", "/exit", "/q"])
def test_three_words_leave(line):
    assert after(line).is_over


@pytest.mark.parametrize(
    "line",
    [f"{command} {value}" for command in VALUES for value in ("", "x", "nan", "1 2")]
    + ["/temp -1", "/topk -1", "/topk 2.5", "/topp 0", "/topp 1.5", "/max 0", "/rep 0", "/temp inf", "/nonsense", "/"],
)
def test_a_wrong_value_is_answered_in_one_line_and_changes_nothing(line):
    turn = after(line)
    assert turn.sampling == START
    assert turn.answer
    assert "\n" not in turn.answer
    assert not turn.is_over


def test_sample_undoes_greedy_also_where_the_temperature_was_zero():
    assert not after("/greedy", "/sample").sampling["greedy"]
    assert after("/temp 0", "/sample").sampling["temperature"] == 1.0


def test_stats_shows_each_setting_and_the_speed():
    answer = after("/topk 7", "/stats").answer
    assert "top_k 7" in answer
    assert all(key in answer for key in START)
    assert "12 tokens in 1.0 s" in answer


def test_help_names_every_command():
    named = set(re.findall(r"/[a-z]+", after("/help").answer))
    assert named >= {*VALUES, "/greedy", "/sample", "/stats", "/help", "/quit", "/exit", "/q"}
