"""Sequential experts: one expert at a time out of a folder, everything else left alone, then one mixture of them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.faults.reference_task import recipe

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs.checkpoints import MODEL
from lilliput.runs.lock import RunLock
from lilliput.runs.run import Run
from lilliput.runs.shelf import Shelf
from lilliput.runs.tensors import read_tensors
from lilliput.stages.begin import train_run
from lilliput.stages.events import Noted
from lilliput.stages.opened import open_model
from lilliput.stages.recipe import read_recipe
from lilliput.training import calibration

MIXTURE = {
    "family": "mixtral",
    "dim": 32,
    "num_layers": 2,
    "num_heads": 2,
    "num_kv_heads": 1,
    "ffn_dim": 24,
    "num_experts": 3,
    "dense_layers": 1,
}
PRECISIONS = pytest.mark.parametrize("precision", ["fp32", "bf16"])


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Trains a phase in a run of its name and returns what was told; the experts lie in `tmp_path / experts`."""
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(calibration, "peak_flops", lambda *_: 1e9)
    task = recipe(
        tmp_path / "task",
        model=MIXTURE,
        training={"length": {"steps": 4}},
        rhythm={"save_every": 0, "sample_every": 0, "validate_every": 0},
    )

    def phase(name: str, *words: str, weights: str | None = None) -> list[str]:
        run = Run.begin(name, resume=True)
        try:
            told = list(train_run(run, str(task), [f"experts.folder={tmp_path / 'experts'}", *words], weights))
        finally:
            run.metrics.close()
            run.lock.release()
        return [event.message for event in told if isinstance(event, Noted)]

    return phase


@pytest.fixture
def trained(train, tmp_path):
    """Trains all three experts, one after the other."""

    def all_three(precision: str) -> Path:
        for expert in range(3):
            words = [f"training.precision={precision}", "experts.mode=sequential"]
            train(f"expert-{expert}", *words, f"experts.active={expert}")
        return tmp_path / "experts"

    return all_three


def files(folder: Path) -> dict[str, Path]:
    return {name: kept.path for name, kept in Shelf(folder, ".safetensors").kept().items()}


def contents(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files(folder).items()}


def weights(run: str) -> dict[str, np.ndarray]:
    with read_tensors(Run.open(run).checkpoint() / MODEL) as found:
        return {name: found[name] for name in found}


@PRECISIONS
def test_training_one_expert_leaves_the_trunk_and_the_other_experts_as_they_were_to_the_last_bit(
    train, trained, precision
):
    folder = trained(precision)
    before = contents(folder)
    train("again", f"training.precision={precision}", "experts.mode=sequential", "experts.active=1", "optim.lr=1e-2")
    after = contents(folder)
    assert {name for name in before if before[name] != after[name]} == {"layer-01.expert-1"}
    assert before.keys() == after.keys() == {"trunk", *(f"layer-01.expert-{n}" for n in range(3))}
    phases = [weights(f"expert-{n}") for n in range(3)]
    trunk = [name for name in phases[0] if ".router." not in name and "blocks.1.feed_forward." not in name]
    assert len(trunk) > 8
    assert all(np.array_equal(phases[0][name], phase[name]) for phase in phases for name in trunk)


def test_a_trunk_may_learn_slowly_beside_a_later_expert(train, trained):
    before = contents(trained("fp32"))
    train("slow", "experts.mode=sequential", "experts.active=2", "experts.trunk_lr=0.1")
    folder = Path(json.loads(Run.open("slow").config.read_text())["experts"]["folder"])
    after = contents(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"layer-01.expert-2", "trunk"}


def test_an_expert_goes_on_with_its_own_optimizer_state(train, trained):
    folder = trained("fp32")
    with read_tensors(files(folder)["layer-01.expert-1"]) as found:
        moments = {name: found[name] for name in found if "/exp_avg" in name}
        assert moments and all(value.any() for value in moments.values())
    told = train("more", "experts.mode=sequential", "experts.active=1", "training.length={steps: 1}", "optim.lr=1e-9")
    assert any("goes on from" in line for line in told)
    with read_tensors(files(folder)["layer-01.expert-1"]) as found:
        for name, value in moments.items():  # one update keeps 0.9 or 0.95 of a moment
            assert np.linalg.norm(found[name]) > 0.3 * np.linalg.norm(value)
        assert int(found.metadata["updates"]) > 4


def test_a_new_expert_starts_near_expert_0_and_becomes_another(train, trained):
    trained("fp32")
    told = train("far", "experts.mode=sequential", "experts.active=2", "training.length={steps: 30}", "optim.lr=3e-2")
    line = next(line for line in told if line.startswith("experts differ"))
    apart = {tuple(part.split()[-5:-2:2]): float(part.split()[-1]) for part in line.split(":")[1].split(",")}
    assert len(apart) == 3
    assert apart["0", "2"] > 2 * apart["0", "1"] > 0


@PRECISIONS
@pytest.mark.parametrize(("thaw", "stay"), [(1.0, True), (0.5, False)])
def test_experts_of_an_assembled_model_learn_only_after_their_thaw(train, trained, precision, thaw, stay):
    folder = trained(precision)
    told = train("whole", f"training.precision={precision}", "experts.mode=assembled", f"experts.thaw={thaw}")
    assert told[0] == f"3 experts assembled from {folder}"
    found = weights("whole")
    for expert in range(3):
        with read_tensors(files(folder)[f"layer-01.expert-{expert}"]) as file:
            names = [name for name in file if "/" not in name]
            assert len(names) == 2
            assert all(np.array_equal(found[name][expert], file[name][0]) is stay for name in names)
    with read_tensors(files(folder)["trunk"]) as file:
        assert not np.array_equal(found["embed.weight"], file["embed.weight"])
    lines = [json.loads(line) for line in (Run.open("whole").path / "metrics.jsonl").read_text().splitlines()]
    assert all(0 < line["monitor.experts.1.router_entropy"] <= 1.1 for line in lines if line["kind"] == "step")


def test_resuming_a_phase_that_has_ended_takes_nothing_back_of_what_later_phases_made_of_it(train, trained):
    folder = trained("fp32")
    train("slow", "experts.mode=sequential", "experts.active=1", "experts.trunk_lr=0.1")
    before = contents(folder)
    train("expert-0", "experts.mode=sequential", "training.precision=fp32")
    train("expert-1", "experts.mode=sequential", "training.precision=fp32", "experts.active=1")
    assert contents(folder) == before
    trunk = files(folder)["trunk"].read_bytes()
    files(folder)["trunk"].unlink()
    with pytest.raises(LilliputError, match=r"trunk.v\d.safetensors is not there any more"):
        train("another", "experts.mode=sequential", "experts.active=1")
    train("expert-0", "experts.mode=sequential", "training.precision=fp32")
    assert files(folder)["trunk"].exists() and files(folder)["trunk"].read_bytes() != trunk


def test_a_part_that_is_damaged_or_being_trained_is_named_with_a_way_out(train, trained):
    folder = trained("fp32")
    with RunLock(folder / "expert-1.LOCK"), pytest.raises(LilliputError) as caught:
        train("second", "experts.mode=sequential", "experts.active=1")
    assert caught.value.code is Exit.LOCKED and "expert-1 of" in caught.value.cause
    files(folder)["trunk"].write_bytes(files(folder)["trunk"].read_bytes()[:-4])
    with pytest.raises(LilliputError, match="differs from its hash") as caught:
        train("second", "experts.mode=sequential", "experts.active=1")
    assert caught.value.code is Exit.CONTENT and "resume the run that trained it" in caught.value.action
    assert not Run.exists("second")


def test_an_expert_that_starts_beside_a_frozen_trunk_leaves_that_trunk_to_the_next(train, tmp_path):
    train("expert-0", "experts.mode=sequential", "experts.trunk_lr=0")
    assert "trunk" in files(tmp_path / "experts")
    assert train("expert-1", "experts.mode=sequential", "experts.active=1")


def test_a_phase_can_be_opened_like_any_model(train, trained):
    trained("fp32")
    opened = open_model("expert-1")
    assert opened.model.config.num_experts == 1
    assert opened.recipe.model.num_experts == 3


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["experts.mode=sequential", "experts.active=3"], r"experts.active: 3 .* it may be 0 to 2", Exit.RECIPE),
        (["experts.mode=sequential", "experts.active=1"], r"holds no trunk", Exit.MISSING),
        (["experts.mode=sequential", "model.dense_layers=2"], r"experts.mode: .* no layer of this model", Exit.RECIPE),
        (["experts.mode=assembled"], r"lacks experts 0, 1, 2 of 3", Exit.MISSING),
    ],
)
def test_what_is_not_there_is_refused_with_the_key_and_a_way_out(train, words, said, code):
    with pytest.raises(LilliputError) as caught:
        train("refused", *words)
    assert caught.value.code == code
    assert re.search(said, f"{caught.value.cause} {caught.value.action}")


def test_weights_of_another_run_do_not_silently_take_the_place_of_the_folder(train, trained):
    trained("fp32")
    with pytest.raises(LilliputError, match=r"--from names other weights") as caught:
        train("elsewhere", "experts.mode=sequential", "experts.active=1", weights="expert-0")
    assert caught.value.code == Exit.USAGE


def test_a_folder_of_another_model_is_refused(train, trained):
    trained("fp32")
    with pytest.raises(LilliputError, match="does not fit this model") as caught:
        train("other", "experts.mode=sequential", "experts.active=1", "model.ffn_dim=32")
    assert caught.value.code == Exit.CONTENT


def test_a_folder_of_another_model_of_the_same_shapes_is_refused(train, trained):
    trained("fp32")
    with pytest.raises(LilliputError, match=r"model.window is 8 here and None there") as caught:
        train("other", "experts.mode=sequential", "experts.active=1", "model.window=8")
    assert caught.value.code == Exit.CONTENT
    assert train("shorter", "experts.mode=assembled", "model.max_positions=64", "model.num_active_experts=1")


@pytest.mark.parametrize(
    "words",
    [
        ["experts.mode=sequential", "experts.active=3", "model.num_experts=4", "experts.folder=nowhere"],
        ["experts.mode=assembled"],
        ["experts.mode=sequential", "model.ffn_dim=32"],
        ["experts.mode=sequential", "model.window=8"],
        ["experts.mode=sequential", "model.dense_layers=2"],
    ],
)
def test_a_phase_that_its_folder_refuses_leaves_no_run_and_can_be_told_again_by_its_name(train, words):
    train("first", "experts.mode=sequential", "training.length={steps: 1}")
    with pytest.raises(LilliputError):
        train("refused", *words)
    assert not Run.exists("refused")


def test_a_folder_made_with_another_tokenizer_is_refused(train, tmp_path):
    words = ["experts.mode=sequential", "tokenizer={kind: bpe, size: 270}", "data.split={kind: tail, validation: 0}"]
    other = tmp_path / "other.txt"
    other.write_text("zip zap zoom zap zip zoom, zing zang zong. " * 200)
    train("first", *words, "experts.active=0")
    with pytest.raises(LilliputError, match="another tokenizer") as caught:
        train("second", *words, "experts.active=1", f"data.sources={other}")
    assert caught.value.code == Exit.CONTENT


def test_the_way_back_to_experts_together_that_a_refusal_names_is_one():
    for words in (["model.preset=tardbot/dense_175m"], ["experts.mode=together"]):
        with pytest.raises(LilliputError) as caught:
            read_recipe("tardbot/expert_75m", words)
        assert "experts='{mode: together}'" in caught.value.action
    assert read_recipe("tardbot/expert_75m", ["experts={mode: together}"]).experts.mode == "together"


def test_a_family_without_experts_is_refused():
    with pytest.raises(LilliputError, match=r"experts.mode: sequential wants a mixture"):
        read_recipe("lab/nano", ["experts.mode=sequential"])


@pytest.mark.parametrize(
    ("recipe", "words", "key"),
    [
        ("tardbot/mac_mini", ["experts.active=2"], "active"),
        ("tardbot/mac_mini", ["experts.noise=0.1"], "noise"),
        ("tardbot/mac_mini", ["experts.folder=elsewhere"], "folder"),
        ("tardbot/mac_mini", ["experts.thaw=0.5"], "thaw"),
        ("lab/nano", ["experts.trunk_lr=0"], "trunk_lr"),
        ("tardbot/mac_mini", ["experts.mode=sequential", "experts.thaw=0.5"], "thaw"),
        ("tardbot/mac_mini", ["experts.mode=assembled", "experts.active=2"], "active"),
        ("tardbot/mac_mini", ["experts.mode=assembled", "experts.noise=0.1"], "noise"),
    ],
)
def test_a_key_that_the_mode_does_not_read_is_refused(recipe, words, key):
    with pytest.raises(LilliputError, match=rf"experts.{key}: .* would be unused") as caught:
        read_recipe(recipe, words)
    assert caught.value.code == Exit.RECIPE
    assert "experts.mode=" in caught.value.action
