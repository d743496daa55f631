"""Resume, branch and start from weights: bit for bit where that is promised, refused where it cannot be."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.faults.reference_task import outcome, recipe

from lilliput.config.errors import Exit, LilliputError
from lilliput.evals.run import evaluate
from lilliput.runs import metrics, stop
from lilliput.runs.checkpoints import MODEL, listing
from lilliput.runs.run import Run
from lilliput.runs.tensors import read_tensors
from lilliput.stages import fit
from lilliput.stages.begin import train_run
from lilliput.stages.events import Event, Finished, Noted, Warned, line
from lilliput.training import calibration

TASKS = {
    "adamw in fp32": {},
    "muon in bf16": {
        "model": {"family": "modern", "dim": 32, "num_layers": 1, "num_heads": 2, "ffn_dim": 32, "dropout": 0.1},
        "optim": {"kind": "muon", "lr": 0.02, "clip": 0.5},
        "training": {"precision": "bf16"},
    },
    "experts": {
        "model": {
            "family": "mixtral",
            "dim": 32,
            "num_layers": 1,
            "num_heads": 2,
            "num_experts": 3,
            "ffn_dim": 32,
            "z_weight": 0.001,
        },
    },
}


class Runs:
    """Runs of one recipe in one folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch

    def train(
        self,
        name: str,
        *overrides: str,
        word: str = "",
        weights: str | None = None,
        stop_at: int | None = None,
        do: Callable[[], object] = lambda: None,
    ) -> list[Event]:
        """Begin or resume; after `stop_at` updates a request to stop comes; between events `do` is done."""
        run = Run.begin(str(self.folder / name), resume=True)
        told = []
        try:
            for event in train_run(run, word or str(self.folder / "task.yaml"), overrides, weights):
                told.append(event)
                do()
                if getattr(event, "step", 0) == stop_at:
                    self.monkeypatch.setattr(stop, "_requested", Exit.TERMINATED)
        finally:
            self.monkeypatch.setattr(stop, "_requested", None)
            run.metrics.close()
            run.lock.release()
        return told

    def outcome(self, name: str):
        return outcome(self.folder / name)

    def copy(self, name: str, to: str) -> Run:
        shutil.copytree(self.folder / name, self.folder / to)
        return Run(self.folder / to)


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Callable[..., Runs]:
    """Makes the runs of the reference task with changed sections, shorter and smaller."""
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path))
    monkeypatch.setattr(calibration, "peak_flops", lambda *_: 1e9)  # measured at every start

    def make(**changes) -> Runs:
        rhythm = {"log_every": 1, "save_every": 3, "keep": 9, **changes.pop("rhythm", {})}
        training = {"length": {"steps": 10}, "context_length": 32, **changes.pop("training", {})}
        recipe(tmp_path, **{"rhythm": rhythm, "training": training, **SMALL, **changes})
        return Runs(tmp_path, monkeypatch)

    return make


SMALL = {"model": {"family": "gpt2", "dim": 32, "num_layers": 1, "num_heads": 2, "dropout": 0.1}}


def finished(told: list[Event]) -> tuple[str, int]:
    end = told[-1]
    assert isinstance(end, Finished)
    return end.reason, end.step


def learned(found: dict) -> dict:
    """What training alone decides."""
    return {key: found[key] for key in ("weights", "optimizer")}


def content(folder: Path) -> dict[str, bytes]:
    """All files but the lock, whose owner changes."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "LOCK")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("task", TASKS)
def test_ten_updates_are_five_and_five_more_bit_for_bit(runs, task):
    of = runs(**TASKS[task])
    assert finished(of.train("whole")) == ("length", 10)
    assert finished(of.train("parts", stop_at=5)) == ("stopped", 5)
    assert finished(of.train("parts")) == ("length", 10)
    whole, parts = of.outcome("whole"), of.outcome("parts")
    assert whole["metrics"][4]["loss"] != whole["metrics"][5]["loss"]
    assert parts == whole


def test_a_run_keeps_how_tokens_meet_their_experts(runs):
    of = runs(**TASKS["experts"])
    of.train("run", stop_at=3)
    stored = json.loads((of.folder / "run" / "config.json").read_text())["training"]["expert_dispatch"]
    assert stored in ("grouped", "sliced")
    other = "grouped" if stored == "sliced" else "sliced"
    with pytest.raises(LilliputError, match=r"training\.expert_dispatch"):
        of.train("run", f"training.expert_dispatch={other}")
    told = of.train("run", word=str(of.folder / "task.yaml"))
    assert finished(told) == ("length", 10)
    assert not any("not bit for bit" in line(event) for event in told)


def test_a_single_active_expert_is_told_once_before_the_first_update(runs):
    of = runs(**TASKS["experts"])
    told = [of.train("one", "model.num_active_experts=1"), of.train("two", "model.num_active_experts=2")]
    one, two = ([e.message for e in events if isinstance(e, Warned) and "num_active" in e.message] for events in told)
    assert len(one) == 1 and "would teach the router nothing" in one[0]
    assert two == []


def test_a_run_goes_on_the_same_from_each_of_its_checkpoints(runs):
    of = runs()
    of.train("whole")
    expected = of.outcome("whole")
    assert expected["steps"] == [3, 6, 9, 10]
    for step in expected["steps"]:
        earlier = of.copy("whole", f"from-{step}")
        for other, path in listing(earlier.checkpoints):
            if other > step:
                shutil.rmtree(path)
        of.train(earlier.name)
        assert of.outcome(earlier.name) == expected


def test_a_branch_goes_on_the_same_in_a_run_of_its_own(runs):
    of = runs()
    of.train("whole")
    before = content(of.folder / "whole")
    of.train("branch", word="whole@6")
    whole, branch = of.outcome("whole"), of.outcome("branch")
    assert learned(branch) == learned(whole)
    assert branch["metrics"] == [record for record in whole["metrics"] if record["step"] > 6]
    parent = Run.open("branch").facts["parent"]
    assert (parent["run"], parent["step"], parent["how"]) == (Run.open("whole").id, 6, "resume")
    assert content(of.folder / "whole") == before


def test_a_branch_that_is_stopped_goes_on_from_its_own_checkpoint(runs):
    of = runs()
    of.train("whole")
    of.train("branch", word="whole@6", stop_at=8)
    of.train("branch", word="branch")
    assert learned(of.outcome("branch")) == learned(of.outcome("whole"))


def test_weights_alone_start_a_fresh_optimizer_at_the_first_update(runs):
    of = runs()
    of.train("whole")
    of.train("fresh", "optim.lr=1e-9", "training.length.steps=1", weights="whole@6")
    run, state = Run.open("fresh"), of.outcome("fresh")["state"]
    assert (state["step"], state["updates"], run.facts["parent"]["how"]) == (1, 1, "weights")
    with read_tensors(run.checkpoint() / MODEL) as new, read_tensors(Run.open("whole").checkpoint("6") / MODEL) as old:
        assert all(np.allclose(new[name], old[name], atol=1e-8, rtol=0) for name in old)
    steps = [record for record in of.outcome("whole")["metrics"] if record["kind"] == "step"]
    first = of.outcome("fresh")["metrics"][0]
    assert first["loss"] == pytest.approx(steps[6]["loss"], abs=0.5)  # and not that of a model that knows nothing
    assert first["batch_digest"] == steps[0]["batch_digest"]


REFUSED = ["optim.lr=1e-2", "training.batch_size=4", "training.length.steps=12", "seed=8", "model.dropout=0.2"]


@pytest.mark.parametrize("word", REFUSED)
def test_what_would_make_it_another_run_is_refused_by_its_key_and_nothing_is_written(runs, word):
    of = runs()
    of.train("run", stop_at=5)
    before = content(of.folder / "run")
    with pytest.raises(LilliputError, match=word.split("=")[0]) as refused:
        of.train("run", word, word="run")
    assert refused.value.code == Exit.CONTENT
    assert content(of.folder / "run") == before


def test_what_changes_nothing_that_is_learned_may_change(runs):
    of = runs()
    of.train("whole")
    of.train("run", stop_at=5)
    told = of.train("run", "rhythm.log_every=2", "rhythm.keep=1", "data.workers=1", word="run")
    assert "rhythm.keep: 9 -> 1" in [line(event) for event in told if isinstance(event, Noted)]
    assert learned(of.outcome("run")) == learned(of.outcome("whole"))
    kept = json.loads(Run.open("run").config.read_text())
    assert (kept["rhythm"]["log_every"], kept["rhythm"]["keep"], kept["data"]["workers"]) == (2, 1, 1)


@pytest.mark.parametrize("word", ["", "run@3"])
def test_changed_text_is_refused_and_nothing_is_written(runs, word):
    of = runs()
    of.train("run", stop_at=5)
    before = content(of.folder / "run")
    text = of.folder / "long.txt"
    text.write_text(text.read_text().replace("king", "knig", 1))  # of the same size
    with pytest.raises(LilliputError, match="text") as refused:
        of.train("new" if word else "run", word=word)
    assert refused.value.code == Exit.CONTENT
    assert content(of.folder / "run") == before


def test_a_finished_run_has_nothing_to_go_on_with(runs):
    of = runs()
    of.train("run")
    before, expected = content(of.folder / "run"), of.outcome("run")
    assert finished(of.train("run")) == ("length", 10)
    after = content(of.folder / "run")
    assert {name for name in after if after[name] != before.get(name)} == {"train.log"}
    assert of.outcome("run") == expected


def draw_from_everything() -> None:
    random.random()
    np.random.rand(3)
    torch.rand(3)


@pytest.mark.parametrize(
    "words",
    [
        ["rhythm.validate_every=0", "rhythm.sample_every=0", "rhythm.log_every=0", "rhythm.save_every=0"],
        ["rhythm.validate_every=1", "rhythm.sample_every=1", "rhythm.validate_at_start=true", "rhythm.save_every=1"],
    ],
    ids=["nothing", "everything"],
)
def test_looking_at_a_model_changes_nothing_of_it(runs, words):
    of = runs()
    of.train("run")
    of.train("other", *words, do=draw_from_everything)
    assert learned(of.outcome("other")) == learned(of.outcome("run"))


def test_who_makes_the_batches_and_how_far_ahead_changes_nothing(runs):
    of = runs()
    of.train("alone")
    of.train("helped", "data.workers=2", "data.prefetch=1")
    of.train("far", "data.workers=2", "data.prefetch=5")
    assert of.outcome("helped")["metrics"] == of.outcome("far")["metrics"] == of.outcome("alone")["metrics"]
    assert learned(of.outcome("helped")) == learned(of.outcome("far")) == learned(of.outcome("alone"))


def test_the_loss_is_the_same_however_an_update_is_split(runs):
    of = runs(model={**SMALL["model"], "dropout": 0.0})
    losses = []
    for size in (2, 3, 4, 8):
        of.train(f"by-{size}", f"training.micro_batch_size={size}", "training.length.steps=4")
        losses.append([record["loss"] for record in of.outcome(f"by-{size}")["metrics"] if record["kind"] == "step"])
    for other in losses[:-1]:
        assert other == pytest.approx(losses[-1], rel=1e-6)


def damage(path: Path) -> None:
    data = bytearray((path / MODEL).read_bytes())
    data[len(data) // 2] ^= 1
    (path / MODEL).write_bytes(data)


def test_a_damaged_checkpoint_is_named_and_set_aside_and_the_run_goes_on_from_the_one_before(runs):
    of = runs()
    of.train("whole")
    of.train("run", stop_at=8)
    damage(Run.open("run").checkpoint())
    told = [line(event) for event in of.train("run")]
    assert any("step-00000008" in said and "model.safetensors differs from its hash" in said for said in told)
    assert "resumed from step 6" in told
    [aside] = (of.folder / "run" / "checkpoints").glob(".bad-*")
    assert "model.safetensors" in (aside / "REASON").read_text()
    shutil.rmtree(aside)
    assert of.outcome("run") == of.outcome("whole")


def test_where_every_checkpoint_is_damaged_nothing_starts_anew(runs):
    of = runs()
    of.train("run", stop_at=5)
    for _, path in listing(of.folder / "run" / "checkpoints"):
        damage(path)
    log = (of.folder / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(LilliputError, match=r"step-00000003.*|step-00000005.*") as refused:
        of.train("run")
    assert refused.value.code == Exit.MISSING
    assert (of.folder / "run" / "metrics.jsonl").read_bytes() == log


def test_a_checkpoint_that_another_run_wrote_is_passed_over(runs):
    of = runs()
    of.train("whole")
    of.train("other", "seed=8")
    of.train("run", stop_at=5)
    shutil.copytree(Run.open("other").checkpoint("9"), of.folder / "run" / "checkpoints" / "step-00000009")
    told = [line(event) for event in of.train("run") if isinstance(event, Warned)]
    assert any("step-00000009: belongs to another run" in said for said in told)
    assert learned(of.outcome("run")) == learned(of.outcome("whole"))


def test_weights_of_another_shape_are_refused_and_leave_no_run(runs):
    of = runs()
    of.train("small")
    with pytest.raises(LilliputError) as refused:
        of.train("wide", "model.dim=64", weights="small")
    assert refused.value.code == Exit.CONTENT


def test_a_lost_summary_is_made_again_from_the_checkpoints(runs):
    of = runs()
    of.train("whole")
    of.train("run", stop_at=8)
    (of.folder / "run" / "run.json").unlink()
    of.train("run")
    assert of.outcome("run") == of.outcome("whole")


def test_the_log_has_every_update_once_and_in_order_whatever_has_happened(runs):
    of = runs()
    for step in (2, 3, 6, 7):
        of.train("run", stop_at=step)
        with (of.folder / "run" / "metrics.jsonl").open("ab") as log:
            log.write(b'{"kind":"step","step":99}\n{"torn')  # what a kill may leave after the last checkpoint
    of.train("run")
    records = list(metrics.read(of.folder / "run" / "metrics.jsonl"))
    assert [record["step"] for record in records if record["kind"] == "step"] == list(range(1, 11))
    assert [record["step"] for record in records if record["kind"] == "validation"] == [5, 10]


ENDS = {
    "early_stop": ["rhythm.early_stop={patience: 3, min_delta: 9.0}", "rhythm.validate_every=2"],
    "until_loss": ["training.length={steps: 10, until_loss: 5.0}", "rhythm.log_every=4"],
}


@pytest.mark.parametrize("end", ENDS)
def test_a_run_ends_early_at_the_same_update_wherever_it_was_stopped(runs, end):
    of = runs(optim={"lr": 1e-2})
    reason, last = finished(of.train("whole", *ENDS[end]))
    assert (reason, last) == (end, 8)
    for step in range(1, last):
        of.train(f"run-{step}", *ENDS[end], stop_at=step)
        assert finished(of.train(f"run-{step}", *ENDS[end])) == (end, last)
        assert of.outcome(f"run-{step}") == of.outcome("whole")


def test_a_branch_knows_how_long_validation_has_not_improved(runs):
    of = runs()
    of.train("whole", *ENDS["early_stop"])
    assert finished(of.train("branch", word="whole@6")) == ("early_stop", 8)


def test_the_loss_that_ends_a_run_is_a_mean_over_the_whole_window_whatever_part_was_before_a_stop(runs):
    of = runs(optim={"lr": 1e-2}, rhythm={"log_every": 4})
    of.train("whole")
    losses = [record["loss"] for record in of.outcome("whole")["metrics"] if record["kind"] == "step"]
    part, window = np.mean(losses[6:8]), np.mean(losses[4:8])
    between = f"training.length={{steps: 10, until_loss: {(part + window) / 2}}}"
    assert part < window < np.mean(losses[:4])
    assert finished(of.train("run", between)) != ("until_loss", 8)
    of.train("cut", between, stop_at=6)
    of.train("cut", between)
    assert of.outcome("cut") == of.outcome("run")


def test_a_length_in_minutes_is_measured_once_and_then_a_number_of_updates(runs, monkeypatch):
    of = runs(training={"length": {"minutes": 0.5}, "context_length": 32})
    monkeypatch.setattr(calibration, "steps_per_minute", lambda *_, **__: 20.0)
    of.train("run", stop_at=4)
    monkeypatch.setattr(calibration, "steps_per_minute", lambda *_, **__: 90.0)
    assert finished(of.train("run")) == ("length", 10)


def test_a_stop_while_the_untrained_model_is_validated_leaves_nothing_half_done(runs, monkeypatch):
    of = runs(rhythm={"validate_at_start": True})
    of.train("whole")
    assert of.outcome("whole")["metrics"][0]["step"] == 0

    def interrupted(*arguments, **more):
        monkeypatch.setattr(stop, "_requested", Exit.TERMINATED)
        return evaluate(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(fit, "evaluate", interrupted)
        assert finished(of.train("run")) == ("stopped", 0)
    of.train("run")
    assert of.outcome("run") == of.outcome("whole")
