import json

import pytest

from lilliput.runs import metrics, stop
from lilliput.runs.run import Run
from lilliput.stages.begin import train_run
from lilliput.stages.events import Noted, Warned
from lilliput.stages.plan import plan_lines
from lilliput.stages.recipe import recipe_from

NAMES = ("long", "short", "brief")


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    """Trains on three sources of its own, the first two in two stages; stops after `until` updates if asked to."""
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path / "runs"))
    texts = ["a long story without an end. " * 900, "\n<|endoftext|>\n".join(["one two"] * 400), "very brief. " * 3]
    for name, text in zip(NAMES, texts, strict=True):
        (tmp_path / f"{name}.txt").write_text(text)
    weights: list = [[0.6, 0.2], [0.3, 0.7], 0.1]
    tree = {
        "data": {
            "sources": [
                {"path": str(tmp_path / f"{name}.txt"), "weight": weight}
                for name, weight in zip(NAMES, weights, strict=True)
            ],
            "stages": [0.4],
            "split": {"kind": "tail", "validation": 0.0},
        },
        "model": {"family": "modern", "dim": 8, "num_layers": 1, "num_heads": 1, "ffn_dim": 8},
        "training": {
            "length": {"steps": 30},
            "context_length": 48,
            "batch_size": 32,
            "micro_batch_size": 32,
            "precision": "fp32",
            "threads": 1,
        },
        "rhythm": {"log_every": 10, "validate_every": 0, "sample_every": 0, "save_every": 0},
    }
    (tmp_path / "recipe.json").write_text(json.dumps(tree))

    def train(name, *words, until=None):
        run, told = Run.begin(name, resume=True), []
        for event in train_run(run, str(tmp_path / "recipe.json"), words):
            told.append(event)
            if getattr(event, "step", -1) == until:
                monkeypatch.setattr(stop, "_requested", 15)
        monkeypatch.setattr(stop, "_requested", None)
        run.metrics.close()
        run.lock.release()
        steps = [record for record in metrics.read(run.metrics.path) if record["kind"] == "step"]
        return steps, [event.message for event in told if isinstance(event, Noted | Warned)]

    train.tree, train.folder = tree, tmp_path
    return train


def seen(record, folder):
    return [record[f"tokens_seen.{folder}/{name}.txt"] for name in NAMES]


def test_the_log_has_the_tokens_of_each_source_and_they_are_in_the_weights_shares_in_each_stage(mixed):
    steps, _ = mixed("run")
    at = {record["step"]: seen(record, mixed.folder) for record in steps}
    assert all(sum(at[record["step"]]) == record["tokens_seen"] for record in steps)
    first, second = at[12], [after - before for after, before in zip(at[30], at[12], strict=True)]
    for counts, wanted in ((first, [0.6, 0.3, 0.1]), (second, [0.2, 0.7, 0.1])):
        assert [count / sum(counts) for count in counts] == pytest.approx(wanted, abs=0.01)


def test_before_training_each_source_is_told_with_its_shares_and_repeats_and_after_it_with_what_came_of_them(mixed):
    steps, told = mixed("run")
    assert "an epoch is" in told[0]
    assert "long.txt: 60 % of the tokens trained on, 20 % from update 13; read " in told[1]
    assert "short.txt: 30 % of the tokens trained on, 70 % from update 13; read " in told[2]
    assert "brief.txt: 10 % of the tokens trained on, 10 % from update 13; read " in told[3]
    times = [float(words.split()[-2].replace(",", "")) for words in told[1:4]]
    targets = [900 * 29 + 1, 400 * 8, 3 * 12 + 1]  # each text and its end, once
    counts = seen(steps[-1], mixed.folder)
    assert times == pytest.approx([count / once for count, once in zip(counts, targets, strict=True)], 0.03)
    assert told[4].startswith("shares of stage 1, ") and "(60 %)" in told[4]
    assert told[5].startswith("shares of stage 2, ") and "(70 %)" in told[5]


@pytest.mark.parametrize("until", [10, 20])
def test_a_run_stopped_in_any_stage_goes_on_with_the_same_batches_and_counts(mixed, until):
    whole, _ = mixed("whole")
    mixed("parts", until=until)
    parts, told = mixed("parts")
    keys = ("step", "loss", "batch_digest", "tokens_seen", *(f"tokens_seen.{mixed.folder}/{n}.txt" for n in NAMES))
    assert [[record[key] for key in keys] for record in parts] == [[record[key] for key in keys] for record in whole]
    assert told[-1].startswith("shares of stage 2, ")


def test_a_stage_for_which_the_run_is_too_short_is_told(mixed):
    _, told = mixed("run", "training.length={steps: 1}")
    assert "a run of 1 updates has none for stage 1 of its mixture" in told


def test_the_plan_shows_shares_stages_and_limits(mixed):
    tree = {**mixed.tree, "data": {**mixed.tree["data"], "max_samples": 100, "max_files": 9}}
    lines = "\n".join(plan_lines(recipe_from(tree, "a test")))
    assert "long.txt 60 %, " in lines
    assert "from 40 % of the run on: " in lines and "short.txt 70 %, " in lines
    assert "short.txt at most 54 samples, 5 files" in lines


def test_two_sources_of_one_name_are_told_apart():
    tales = [{"name": "tales", "size": 1000}, {"name": "tales", "size": 2000, "seed": 1}]
    tree = {
        "data": {"sources": tales},
        "model": {"family": "modern", "dim": 8, "num_layers": 1, "num_heads": 1, "ffn_dim": 8},
        "training": {"length": {"steps": 1}},
    }
    assert "data        tales 50 %, tales (2) 50 %" in list(plan_lines(recipe_from(tree, "a test")))
