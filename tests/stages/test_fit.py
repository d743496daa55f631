import json
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lilliput.evals.run import Report, report
from lilliput.evals.score import Tally
from lilliput.optim.schedules import multiplier
from lilliput.runs import metrics
from lilliput.runs.run import Run
from lilliput.stages import events, fit, pretrain
from lilliput.stages.begin import train_run
from lilliput.stages.events import Event, Finished, Sampled, Saved, Stepped, Validated
from lilliput.stages.recipe import read_recipe
from lilliput.stages.rhythm import due
from lilliput.training import loop
from lilliput.training.loop import Diverged, Step

RECIPE = {
    "data": {"sources": "tiny", "split": {"kind": "tail", "validation": 0.3}},
    "model": {"family": "modern", "dim": 16, "num_layers": 1, "num_heads": 2, "ffn_dim": 16},
    "training": {
        "length": {"steps": 12},
        "context_length": 24,
        "batch_size": 4,
        "micro_batch_size": 4,
        "precision": "fp32",
        "threads": 1,
    },
    "rhythm": {"log_every": 0, "validate_every": 0, "save_every": 0},
}

Train = Callable[..., tuple[Run, list[Event]]]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Trains a run of a small recipe with these words; what it is, and what it told."""
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path))
    recipe = tmp_path / "small.json"
    recipe.write_text(json.dumps(RECIPE), encoding="utf-8")

    def trained(*words: str) -> tuple[Run, list[Event]]:
        run = Run.begin(None, default="small")
        told = list(train_run(run, str(recipe), words))
        run.lock.release()
        return run, told

    return trained


def steps(told: list[Event], kind: type) -> list[int]:
    return [event.step for event in told if isinstance(event, kind)]


def records(run: Run, kind: str) -> list[dict]:
    return [record for record in metrics.read(run.metrics.path) if record["kind"] == kind]


def test_each_effect_comes_at_its_own_rhythm_and_at_the_end(train):
    words = ["log_every=4", "validate_every=5", "sample_every=6", "save_every=7", "validate_at_start=true"]
    _, told = train(*(f"rhythm.{word}" for word in words), "rhythm.best_by=none")
    assert steps(told, Stepped) == [4, 8, 12]
    assert steps(told, Validated) == [0, 5, 10, 12]
    assert steps(told, Sampled) == [6, 12]
    assert [(event.step, event.reason) for event in told if isinstance(event, Saved)] == [(7, "rhythm"), (12, "final")]
    assert told[-1] == Finished(12, 12, "length", told[-1].seconds)


def test_zero_means_never_but_for_the_last_checkpoint(train):
    run, told = train()
    assert {type(event) for event in told} == {events.Prepared, Saved, Finished}
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000012"]
    assert not run.samples.path.exists()


def test_the_log_has_a_line_for_every_update_with_what_a_curve_needs(train):
    run, _ = train("schedule={kind: cosine, floor: 0.1, warmup: {steps: 3}}", "optim.lr=1e-3", "rhythm.log_every=5")
    found = records(run, "step")
    assert [record["step"] for record in found] == list(range(1, 13))
    schedule = read_recipe("lab/nano", ["schedule={kind: cosine, floor: 0.1, warmup: {steps: 3}}"]).schedule
    for record in found:
        assert record["lr"] == pytest.approx(1e-3 * multiplier(schedule, record["step"], 12))
        assert record["grad_norm"] > 0
        assert record["loss"] > 0
    assert max(record["lr"] for record in found) == pytest.approx(1e-3)
    # Of bytes, bits per byte is the loss in bits, but for the ends of documents, which are no bytes.
    assert found[0]["bpb"] == pytest.approx(found[0]["loss"] / math.log(2), rel=0.03)
    shown = [record for record in found if "tokens_per_s" in record]
    assert [record["step"] for record in shown] == [5, 10, 12]


def test_several_validation_sets_are_told_by_their_names_and_the_first_decides(train, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("A text that nobody trains on. " * 20, encoding="utf-8")
    sources = json.dumps(["tiny", str(other)])
    run, told = train(f"validation.sources={sources}", "rhythm.validate_every=6", "rhythm.validate_batches=2")
    found = [event for event in told if isinstance(event, Validated)]
    assert [event.name for event in found] == ["tiny", str(other)] * 2
    assert [event.best for event in found] == [True, False, True, False]
    assert [record["set"] for record in records(run, "validation")] == ["tiny", str(other)] * 2
    assert all(event.ppl == pytest.approx(math.exp(event.loss)) for event in found)
    assert run.state.best == {"step": 12, "value": found[-2].loss, "set": "tiny"}


def test_validation_reads_as_many_batches_as_asked(train, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("A text that nobody trains on. " * 1000, encoding="utf-8")
    words = [f"validation.sources={other}", "rhythm.validate_every=12"]
    _, whole = train(*words)
    _, limited = train(*words, "rhythm.validate_batches=2")
    counts = [next(event.targets for event in told if isinstance(event, Validated)) for told in (whole, limited)]
    assert counts == [30_001, 2 * (8192 // 24) * 24]


def test_samples_are_written_from_each_prompt_as_often_as_asked(train):
    prompts = 'samples.prompts=["Once upon a time in a distant land,", "The old man"]'
    words = ["rhythm.sample_every=6", "rhythm.num_samples=3", "rhythm.sample_tokens=5"]
    run, told = train(prompts, *words)
    found = [json.loads(line) for line in run.samples.path.read_text(encoding="utf-8").splitlines()]
    assert [(sample["step"], sample["prompt"]) for sample in found] == [
        (step, prompt)
        for step in (6, 12)
        for prompt in ("Once upon a time in a distant land,", "The old man")
        for _ in range(3)
    ]
    assert len({sample["text"] for sample in found}) == 12
    assert max(len(sample["text"]) for sample in found) == 5
    assert len(steps(told, Sampled)) == 12


def test_the_newest_checkpoints_and_the_best_one_stay(train):
    words = ["rhythm.save_every=2", "rhythm.keep=2", "rhythm.validate_every=3"]
    harm = "schedule={kind: constant, warmup: {steps: 0}, stages: [{until: 0.34, factor: 0.01}]}"
    run, told = train(*words, "optim.lr=0.9", harm)  # so that the best is not the last
    losses = {event.step: event.loss for event in told if isinstance(event, Validated)}
    best = min(losses, key=losses.__getitem__)
    kept = sorted(int(path.name.removeprefix("step-")) for path in run.checkpoints.iterdir())
    assert best < 10
    assert kept == [best, 10, 12]
    assert run.checkpoint("best").name == f"step-{best:08d}"
    assert run.checkpoint("latest").name == "step-00000012"


def test_the_end_of_each_epoch_is_saved_where_asked(train):
    _, told = train("rhythm.save_each_epoch=true")
    saved = [(event.step, event.reason) for event in told if isinstance(event, Saved)]
    assert saved == [(4, "epoch"), (8, "epoch"), (12, "final")]  # 16 windows, four an update


def test_training_ends_when_validation_stops_improving(train):
    stop = "rhythm.early_stop={patience: 2, min_delta: 5.0}"
    _, told = train(stop, "rhythm.validate_every=2", "optim.lr=1e-3")
    losses = {event.step: event.loss for event in told if isinstance(event, Validated)}
    assert losses[2] > losses[4] > losses[6]  # by less than what counts as an improvement
    assert (told[-1].reason, told[-1].step) == ("early_stop", 6)


def test_falls_too_small_to_count_add_up_to_one_that_does(train, monkeypatch):
    losses = iter([5.0, 4.6, 4.2, 3.8, 3.4, 3.4])  # each second one is below the last that counted by over 0.5

    def evaluated(*_given: object, **_options: object) -> Report:
        return report(Tally(*np.array([[next(losses)], [1.0], [1.0], [0.0], [0.0]])), 0.0)

    monkeypatch.setattr(fit, "evaluate", evaluated)
    _, told = train("rhythm.early_stop={patience: 2, min_delta: 0.5}", "rhythm.validate_every=2")
    assert told[-1].reason == "length"


def test_training_ends_at_a_loss_that_was_asked_for(train):
    _, told = train("training.length={steps: 12, until_loss: 5.4}", "rhythm.log_every=2", "optim.lr=1e-2")
    shown = [event for event in told if isinstance(event, Stepped)]
    assert (told[-1].reason, told[-1].step) == ("until_loss", shown[-1].step)
    assert shown[-1].loss < 5.4 <= shown[-2].loss


def test_the_train_log_has_each_event_as_it_was_told(train):
    run, told = train("rhythm.log_every=4", "rhythm.validate_every=6", "rhythm.sample_every=12")
    lines = run.train_log.read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [events.line(event) for event in told]


def test_an_update_may_be_split_into_micro_batches_and_both_rates_are_told(train):
    whole, _ = train("optim.lr=1e-2", "rhythm.log_every=6")
    split, told = train("optim.lr=1e-2", "rhythm.log_every=6", "training.micro_batch_size=1")
    pairs = zip(records(whole, "step"), records(split, "step"), strict=True)
    assert all(one["loss"] == pytest.approx(other["loss"], rel=1e-4) for one, other in pairs)
    shown = next(event for event in told if isinstance(event, Stepped))
    assert shown.clock["micro_steps_per_s"] == pytest.approx(4 * shown.clock["updates_per_s"])


def test_a_rhythm_is_due_at_its_multiples_and_at_the_end_and_zero_means_never():
    assert [step for step in range(1, 12) if due(step, 4, 11)] == [4, 8, 11]
    assert not any(due(step, every, 11) for step in range(1, 12) for every in (0, -1))


def test_the_clock_asks_for_checkpoints_that_bound_a_loss_and_each_replaces_the_one_before(train, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(fit.time, "monotonic", lambda: now[0])
    original = pretrain._steps

    def timed(*arguments):
        for step in original(*arguments):
            now[0] += 25.0
            yield step

    monkeypatch.setattr(pretrain, "_steps", timed)
    run, told = train("rhythm.save_seconds=60", "rhythm.save_every=5", "rhythm.keep=2")
    saved = [(event.step, event.reason) for event in told if isinstance(event, Saved)]
    assert saved == [(3, "clock"), (5, "rhythm"), (8, "clock"), (10, "rhythm"), (12, "final")]
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step-00000010", "step-00000012"]


def test_saving_by_the_clock_is_stretched_where_a_checkpoint_takes_long(train, monkeypatch):
    now = [0.0]

    def save(*arguments):
        now[0] += 2.0  # so the next one waits a hundred seconds
        return original_save(*arguments)

    def timed(*arguments):
        for step in original_steps(*arguments):
            now[0] += 25.0
            yield step

    original_save, original_steps = pretrain._save, pretrain._steps
    monkeypatch.setattr(fit.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(pretrain, "_save", save)
    monkeypatch.setattr(pretrain, "_steps", timed)
    _, told = train("rhythm.save_seconds=60")
    assert [event.step for event in told if isinstance(event, Saved) and event.reason == "clock"] == [3, 8]


@pytest.mark.parametrize(
    ("length", "steps"), [("{epochs: 2.5}", 10), ("{tokens: 800}", 9), ("{steps: 3}", 3), ("{epochs: 0.01}", 1)]
)
def test_a_length_in_epochs_or_tokens_becomes_updates(train, length, steps):
    run, told = train(f"training.length={length}")
    assert (told[-1].step, told[-1].total) == (steps, steps)  # 16 windows of 24 tokens, four an update
    last = records(run, "step")[-1]
    assert last["epoch"] == pytest.approx(steps / 4)
    assert "tokens" not in length or last["tokens_seen"] == pytest.approx(800, rel=0.12)


def test_the_updates_before_a_divergence_stand_in_the_log(train, tmp_path, monkeypatch):
    def diverging(*given: object, **options: object) -> Iterator[Step]:
        for step in loop.train(*given, **options):
            if step.number == 8:
                raise Diverged(step)
            yield step

    monkeypatch.setattr(pretrain, "train", diverging)
    with pytest.raises(Diverged):
        train("rhythm.log_every=5")
    run = Run.open(tmp_path / "small")
    assert [record["step"] for record in records(run, "step")] == list(range(1, 8))


def test_records_have_the_keys_that_readers_rely_on(train):
    run, _ = train("rhythm.log_every=5", "rhythm.validate_every=12")
    own = ["kind", "step", "loss", "bpb", "lr", "grad_norm", "epoch", "tokens_seen", "bytes_seen", "batch_digest"]
    for record in records(run, "step"):
        assert [key for key in record if key not in metrics.CLOCK_KEYS] == own
        assert {*record} & {*metrics.CLOCK_KEYS} or record["step"] not in (5, 10, 12)
    [validated] = records(run, "validation")
    assert {*validated} == {"kind", "step", "set", "loss", "ppl", "bpb", "accuracy", "targets", "best"}


def test_totals_count_what_was_trained_on(train):
    run, _ = train()
    found = records(run, "step")
    counted = [record["tokens_seen"] for record in found]
    assert counted == sorted(set(counted))
    assert all(after - before <= 4 * 24 for before, after in pairwise([0, *counted]))
    assert found[-1]["bytes_seen"] <= found[-1]["tokens_seen"]  # of bytes; the end of a document is none


def test_a_pinned_checkpoint_stays(train, tmp_path):
    run = Run.begin("small")
    recipe = str(tmp_path / "small.json")
    for event in train_run(run, recipe, ["rhythm.save_every=2", "rhythm.keep=1"]):
        if isinstance(event, Saved) and event.step == 4:
            run.update(pinned=(4,))
    run.lock.release()
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step-00000004", "step-00000012"]
    assert run.state.pinned == (4,)


def test_a_shown_loss_is_the_mean_per_token_since_the_line_before(train):
    run, told = train("rhythm.log_every=5")
    found = records(run, "step")
    counts = [after - before for before, after in pairwise([0, *(record["tokens_seen"] for record in found)])]
    begun = 0
    for event in (event for event in told if isinstance(event, Stepped)):
        window = slice(begun, event.step)
        nats = sum(record["loss"] * count for record, count in zip(found[window], counts[window], strict=True))
        assert event.loss == pytest.approx(nats / sum(counts[window]))
        begun = event.step


def test_a_best_model_is_saved_when_it_is_found(train):
    _, told = train("rhythm.validate_every=2", "rhythm.save_every=3", "training.length.steps=6", "optim.lr=1e-2")
    saved = [(event.step, event.reason) for event in told if isinstance(event, Saved)]
    assert saved == [(2, "best"), (3, "rhythm"), (4, "best"), (6, "final")]
