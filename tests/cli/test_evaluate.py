import json

import pytest

from lilliput.cli import main
from lilliput.evals.baselines import Baseline
from lilliput.evals.run import Report
from lilliput.evals.score import Figure
from lilliput.stages import evaluate as stage


@pytest.fixture
def asked(monkeypatch):
    """What the command asks the stage for; it answers with a made-up evaluation."""
    asked = {}

    def evaluate(word, **options):
        asked.update(options, model=word)
        report = Report(
            loss=Figure(1.5, 1.4, 1.6),
            ppl=Figure(float("inf"), None, None),
            bpb=Figure(2.1, 2.0, 2.2),
            accuracy=Figure(0.5, 0.4, 0.6),
            top5=Figure(0.75, 0.7, 0.8),
            targets=1234,
            bytes=2345,
            windows=9,
            seconds=0.1,
        )
        others = (Baseline("uniform", Figure(8.0, None, None)), Baseline("entropy", Figure(0.61, 0.6, 0.62)))
        yield stage.Evaluation("small@7", "validation", 64, report, others)

    monkeypatch.setattr(stage, "evaluate", evaluate)
    return asked


def test_the_model_stands_between_the_baselines_it_beats_and_those_it_does_not(asked, capsys):
    assert main(["evaluate", "small@7"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("uniform") < shown.index("this model") < shown.index("entropy")
    assert "1.4000 to 1.6000" in shown
    assert "1,234 tokens" in shown


def test_figures_for_a_program_are_strict_json(asked, capsys):
    assert main(["evaluate", "small", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found["report"]["ppl"]["value"] == "Infinity"
    assert found["baselines"][1]["bpb"]["value"] == 0.61


def test_options_reach_the_stage(asked):
    options = ["--ngrams", "2, 4", "--max-batches", "3", "--part", "test", "--data", "x.txt"]
    assert main(["evaluate", "m@best", *options]) == 0
    assert asked["orders"] == [2, 4]
    assert (asked["model"], asked["max_batches"], asked["part"], asked["data"]) == ("m@best", 3, "test", ["x.txt"])


@pytest.mark.parametrize("options", ["--ngrams 3,x", "--ngrams 0", "--part train", "--max-batches 0"])
def test_a_wrong_option_is_a_usage_error(asked, capsys, options):
    assert main(["evaluate", "m", *options.split()]) == 2
    assert "hint: " in capsys.readouterr().err
