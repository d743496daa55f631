"""The room of a run: foretold within 5 % of what it takes, told in the plan, and refused where it is not there."""

import shutil
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
from tests.faults import reference_task

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import durable
from lilliput.runs.run import Run
from lilliput.stages import fit, pretrain, room
from lilliput.stages.begin import train_run
from lilliput.stages.events import Prepared
from lilliput.stages.saving import Saver

MUON = {"kind": "muon", "lr": 0.01}
MIXTURE = {"family": "mixtral", "dim": 64, "num_layers": 2, "num_heads": 2, "ffn_dim": 64, "num_experts": 4}
PLAIN = {"rhythm": {"validate_every": 0, "sample_every": 0, "keep": 1}}
CASES = {
    "AdamW": PLAIN,
    "Muon": {**PLAIN, "optim": MUON},
    "Muon over bf16 weights": {**PLAIN, "optim": MUON, "training": {"precision": "bf16"}},
    "a best checkpoint that is older": {},
    "a checkpoint by the clock": {"rhythm": {"save_seconds": 1e-9}, "optim": MUON},
    "fewer checkpoints than may stay": {"rhythm": {"validate_every": 0, "keep": 9, "save_every": 10}},
    "the last one alone": {"rhythm": {"validate_every": 0, "save_every": 0}},
    "a mixture of experts": {**PLAIN, "model": MIXTURE, "training": {"length": {"steps": 60}}},
}
FEW = ("Muon over bf16 weights", "a best checkpoint that is older")
MORE = [case for case in CASES if case not in FEW]


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Makes the run and the recipe of the reference task with changes; every validation finds a higher loss."""
    evaluate, losses = fit.evaluate, count(1)

    def worse(*arguments, **options):
        report = evaluate(*arguments, **options)
        return replace(report, loss=replace(report.loss, value=float(next(losses))))

    monkeypatch.setattr(fit, "evaluate", worse)
    monkeypatch.setattr(Saver, "took", property(lambda _: 0.0, lambda *_: None), raising=False)
    monkeypatch.setattr("lilliput.training.calibration.peak_flops", lambda *_: 1e9)

    def make(**changes):
        return Run.begin(str(tmp_path / "run"), resume=True), str(reference_task.recipe(tmp_path / "task", **changes))

    return make


def used(folder):
    return 512 * sum(path.lstat().st_blocks for path in folder.rglob("*"))


@pytest.mark.promise("R4")
@pytest.mark.parametrize(
    "case", [case if case in FEW else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_the_room_of_a_run_is_foretold_within_a_twentieth_of_what_it_takes(prepared, monkeypatch, figure, case):
    (run, recipe), taken, said = prepared(**CASES[case]), [], []
    rename, refuse = durable.rename, room.refuse

    def measured(source, target):
        taken.append(used(run.path))
        rename(source, target)

    monkeypatch.setattr(durable, "rename", measured)
    monkeypatch.setattr(pretrain, "refuse", lambda run, needed: (said.append(needed), refuse(run, needed)))
    events = list(train_run(run, recipe))
    foretold = said[0].total
    assert max(taken) == pytest.approx(foretold, rel=0.05), (said, foretold / max(taken))
    assert str(said[0]) in next(event.lines for event in events if isinstance(event, Prepared))
    figure(f"{case}: foretold {foretold:,} bytes, {100 * (foretold / max(taken) - 1):+.1f} % of what was taken")


def disk_with(monkeypatch, free):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


@pytest.mark.promise("R4")
def test_a_run_that_cannot_fit_is_refused_before_anything_is_written_and_one_that_just_fits_is_not(
    prepared, monkeypatch
):
    short = {"training": {"length": {"steps": 3}}, "rhythm": {"validate_every": 0}}
    run, recipe = prepared(**short)
    needed = []
    monkeypatch.setattr(pretrain, "refuse", lambda run, room: needed.append(room.total))
    next(train_run(run, recipe))
    monkeypatch.setattr(pretrain, "refuse", room.refuse)
    shutil.rmtree(run.path)
    run.lock.release()
    run, _ = prepared(**short)
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    disk_with(monkeypatch, needed[0] - 1)
    with pytest.raises(LilliputError) as refused:
        list(train_run(run, recipe))
    assert refused.value.code is Exit.DISK_FULL
    assert "would need" in refused.value.cause and "\n" not in refused.value.cause + refused.value.action
    assert "rhythm.keep" in refused.value.action and "--run" in refused.value.action
    assert before == {path.name: path.read_bytes() for path in run.path.iterdir()} and run.is_new
    disk_with(monkeypatch, needed[0])
    list(train_run(run, recipe))


def state(folder):
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.mark.promise("R4")
def test_a_run_that_goes_on_needs_room_only_for_what_it_has_not_taken_yet(prepared, monkeypatch):
    run, recipe = prepared(**PLAIN, training={"length": {"steps": 9}})
    rooms = []
    monkeypatch.setattr(pretrain, "refuse", lambda run, room: rooms.append(room))
    for event in train_run(run, recipe):
        if getattr(event, "step", 0) == 6:
            break
    monkeypatch.setattr(pretrain, "refuse", room.refuse)
    held = state(run.path)
    disk_with(monkeypatch, rooms[0].one // 2)
    with pytest.raises(LilliputError) as refused:
        list(train_run(run, recipe))
    assert refused.value.code is Exit.DISK_FULL and "of which it has" in refused.value.cause
    assert held == state(run.path)
    disk_with(monkeypatch, rooms[0].total - rooms[0].one)
    list(train_run(run, recipe))


@pytest.mark.promise("R4")
def test_what_is_pinned_and_what_a_stop_has_left_need_room_beside_the_rhythms_own(prepared):
    run, recipe = prepared(**PLAIN, training={"length": {"steps": 6}})
    list(train_run(run, recipe))
    rhythm = SimpleNamespace(save_seconds=0)
    assert room.beside(run, rhythm) == 0
    run.update(pinned=(3,))
    assert room.beside(run, rhythm) == 1
    run.commit(7, lambda folder: {}, {"rolling": True})
    assert room.beside(run, rhythm) == 2
    assert room.beside(run, SimpleNamespace(save_seconds=60)) == 1  # which counts one by the clock
