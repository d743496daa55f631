import copy
import json

import pytest
import torch
from safetensors.torch import load_file

from lilliput.config.errors import Exit, LilliputError
from lilliput.optim import AdamWConfig, MuonConfig, build_optimizer
from lilliput.runs.checkpoints import commit, listing
from lilliput.runs.damage import Damaged
from lilliput.training.checkpoint import contents, load
from lilliput.training.loop import train

CONFIGS = [AdamWConfig(lr=1e-2), MuonConfig()]
DTYPES = [torch.float32, torch.bfloat16]


def steps_of(model, optimizer, batches, done, total):
    rest = {"micro_batch_size": 4, "clip": 1.0, "seed": 1}
    return [
        s.loss.item().hex() for s in train(model, optimizer, batches, lambda _: 0.9, done=done, total=total, **rest)
    ]


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture
def trained(build, batches, tmp_path):
    """A model of three updates, its optimizer, and its checkpoint."""

    def trained(config=CONFIGS[0], dtype=torch.float32):
        model = build(dropout=0.2)
        optimizer = build_optimizer(model, config, dtype)
        steps_of(model, optimizer, batches, 0, 3)
        write = contents(3, model, optimizer, {"tokens_seen": 7}, tokenizer="aa")
        return model, optimizer, commit(tmp_path, 3, write)

    return trained


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_a_copied_checkpoint_holds_the_moment_it_was_taken_at(batches, trained, tmp_path, config, dtype):
    model, optimizer, path = trained(config, dtype)
    write = contents(3, model, optimizer, {"tokens_seen": 7}, tokenizer="aa", copied=True)
    steps_of(model, optimizer, batches, 3, 5)
    later = commit(tmp_path / "later", 3, write)
    for name in ("model.safetensors", "optimizer.safetensors", "state.json"):
        assert (later / name).read_bytes() == (path / name).read_bytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_a_run_goes_on_from_its_checkpoint_as_if_it_had_never_stopped(build, batches, trained, config, dtype):
    model, optimizer, path = trained(config, dtype)
    expected = steps_of(model, optimizer, batches, 3, 6)
    resumed = build(seed=50, dropout=0.2)
    other = build_optimizer(resumed, config, dtype)
    state = load(path, resumed, other, tokenizer="aa")
    assert (state["step"], state["tokens_seen"]) == (3, 7)
    assert steps_of(resumed, other, batches, 3, 6) == expected
    assert same(dict(model.state_dict()), dict(resumed.state_dict()))
    assert same(optimizer.weights.named, other.weights.named)
    assert same(optimizer.tensors(), other.tensors())
    assert other.updates == 6


def test_weights_are_kept_in_float32_by_name_and_tied_ones_once(trained):
    model, optimizer, path = trained(dtype=torch.bfloat16)
    stored = load_file(path / "model.safetensors")
    assert set(stored) == {*(name for name, _ in model.named_parameters()), "calls"}
    assert all(value.dtype == torch.float32 for name, value in stored.items() if name != "calls")
    assert torch.equal(stored["embedding.weight"], optimizer.weights.named["embedding.weight"])
    assert not torch.equal(stored["embedding.weight"], model.embedding.weight.float())
    assert "head.weight" not in stored


def test_optimizer_state_is_kept_by_parameter_and_buffer(trained):
    _, optimizer, path = trained()
    stored = load_file(path / "optimizer.safetensors")
    assert same(stored, optimizer.tensors())


def test_weights_alone_fill_a_model_that_starts_anew(build, trained):
    model, _, path = trained()
    fresh = build(seed=50)
    load(path, fresh)
    assert same(dict(model.state_dict()), dict(fresh.state_dict()))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_weights_alone_fill_the_masters_and_leave_a_fresh_optimizer_fresh(build, trained, dtype):
    _, optimizer, path = trained(dtype=torch.bfloat16)
    fresh = build(seed=50)
    other = build_optimizer(fresh, CONFIGS[1], dtype)
    load(path, fresh, other, weights_only=True)
    assert same(optimizer.weights.named, other.weights.named)
    assert torch.equal(fresh.embedding.weight, optimizer.weights.named["embedding.weight"].to(dtype))
    assert (other.updates, other.tensors()) == (0, {})


@pytest.mark.parametrize("what", ["family", "vocabulary size", "tokenizer"])
def test_a_foreign_checkpoint_is_refused_and_nothing_is_changed(build, trained, what):
    _, _, path = trained()
    fresh = build(seed=50)
    optimizer = build_optimizer(fresh, CONFIGS[0])
    before = copy.deepcopy(fresh.state_dict())
    if what == "family":
        fresh.config.family = "other"
    if what == "vocabulary size":
        fresh.vocab_size = 99
    with pytest.raises(LilliputError, match=f"another {what}") as refusal:
        load(path, fresh, optimizer, tokenizer="bb" if what == "tokenizer" else "aa")
    assert refusal.value.code == Exit.CONTENT
    assert same(before, fresh.state_dict())


@pytest.mark.parametrize("options, config", [({"dim": 10}, CONFIGS[0]), ({}, CONFIGS[1])], ids=["shape", "optimizer"])
def test_a_checkpoint_of_another_shape_or_optimizer_is_refused_and_nothing_is_changed(build, trained, options, config):
    _, _, path = trained()
    fresh = build(seed=50, **options)
    optimizer = build_optimizer(fresh, config)
    before = copy.deepcopy(fresh.state_dict())
    with pytest.raises(LilliputError) as refusal:
        load(path, fresh, optimizer)
    assert refusal.value.code == Exit.CONTENT
    assert same(before, fresh.state_dict())
    assert not optimizer.tensors()


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_one_flipped_bit_is_found_before_a_tensor_is_used(build, trained, name):
    _, _, path = trained()
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 4
    (path / name).write_bytes(content)
    fresh = build(seed=50)
    before = copy.deepcopy(fresh.state_dict())
    with pytest.raises(Damaged, match=name):
        load(path, fresh, build_optimizer(fresh, CONFIGS[0]))
    assert same(before, fresh.state_dict())


@pytest.mark.parametrize("where", ["weight", "optimizer"])
def test_a_value_that_is_not_finite_is_never_committed(trained, tmp_path, where):
    model, optimizer, _ = trained()
    target = model.blocks[0].up.bias.data if where == "weight" else optimizer.tensors()["embedding.weight/exp_avg"]
    target.view(-1)[3] = float("inf")
    with pytest.raises(LilliputError, match="not finite after step 4") as failure:
        commit(tmp_path, 4, contents(4, model, optimizer, {}, tokenizer="aa"))
    assert failure.value.code == Exit.DIVERGED
    assert [step for step, _ in listing(tmp_path)] == [3]


def test_a_checkpoint_before_the_first_update_starts_the_same_run(build, batches, tmp_path):
    model = build()
    optimizer = build_optimizer(model, CONFIGS[0])
    path = commit(tmp_path, 0, contents(0, model, optimizer, {}, tokenizer="aa"))
    expected = steps_of(model, optimizer, batches, 0, 2)
    resumed = build(seed=50)
    other = build_optimizer(resumed, CONFIGS[0])
    load(path, resumed, other)
    assert steps_of(resumed, other, batches, 0, 2) == expected


def test_state_is_strict_json(trained):
    _, _, path = trained()
    assert json.loads((path / "state.json").read_text())["family"] == "small"
