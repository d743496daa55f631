import copy

import pytest
import torch

from lilliput.config.errors import Exit, LilliputError
from lilliput.optim import AdamWConfig, MuonConfig, build_optimizer

CONFIGS = [AdamWConfig(lr=1e-2), MuonConfig(weight_decay=0.1)]
DTYPES = [torch.float32, torch.bfloat16]


def update(model, optimizer, learn, step, multiplier=1.0):
    optimizer.zero_grad()
    learn(model, step)
    optimizer.weights.collect()
    optimizer.set_lr(multiplier)
    optimizer.step()


def weights_of(optimizer):
    return {name: weight.detach().clone() for name, weight in optimizer.weights.named.items()}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_adamw_equals_torch_with_the_same_groups_bit_for_bit(model, learn):
    twin = copy.deepcopy(model)
    optimizer = build_optimizer(model, AdamWConfig(lr=1e-2))
    by_name = dict(twin.named_parameters())
    plain = {"embedding.weight", *(name for name in by_name if name.endswith("bias")), "norm.weight"}
    groups = [
        {"params": [by_name[n] for n in sorted(plain) if not n.startswith("up")], "weight_decay": 0.0},
        {"params": [by_name[n] for n in by_name if n not in plain and not n.startswith("up")]},
        {"params": [by_name["up.bias"]], "weight_decay": 0.0, "lr": 2e-2},
        {"params": [by_name["up.weight"]], "lr": 2e-2},
    ]
    theirs = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    for step in range(3):
        update(model, optimizer, learn, step)
        theirs.zero_grad()
        learn(twin, step)
        theirs.step()
    assert same(weights_of(optimizer), by_name)


def test_muon_equals_torchs_muon_and_adamw_bit_for_bit(model, learn, in_bfloat16):
    twin = copy.deepcopy(model)
    optimizer = build_optimizer(model, MuonConfig(weight_decay=0.1))
    by_name = dict(twin.named_parameters())
    hidden = [name for name in by_name if name in {"first.weight", "second.weight", "down.weight"}]
    rest = [n for n in by_name if n not in hidden and not n.startswith("up")]
    parts = [
        torch.optim.Muon(
            [{"params": [by_name[n] for n in hidden]}, {"params": [by_name["up.weight"]], "lr": 0.04}],
            lr=0.02,
            weight_decay=0.1,
        ),
        torch.optim.AdamW(
            [{"params": [by_name[n] for n in rest]}, {"params": [by_name["up.bias"]], "lr": 0.016}],
            lr=0.008,
            betas=(0.9, 0.95),
            weight_decay=0.0,
            fused=True,
        ),
    ]
    for step in range(3):
        update(model, optimizer, learn, step)
        for part in parts:
            part.zero_grad()
        learn(twin, step)
        for part in parts:
            part.step()
    assert same(weights_of(optimizer), by_name)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_six_updates_equal_three_and_three_with_the_state_carried_over(model, learn, config, dtype):
    other = copy.deepcopy(model)
    optimizer = build_optimizer(model, config, dtype)
    for step in range(3):
        update(model, optimizer, learn, step)
    resumed = build_optimizer(other, config, dtype)
    resumed.weights.load(optimizer.weights.named.__getitem__)
    resumed.load_tensors(optimizer.tensors(), optimizer.updates)
    for step in range(3, 6):
        update(model, optimizer, learn, step)
        update(other, resumed, learn, step)
    assert same(weights_of(optimizer), weights_of(resumed))
    assert same(optimizer.tensors(), resumed.tensors())
    assert resumed.updates == 6


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_state_is_named_by_parameter_and_buffer_and_every_weight_has_one(model, learn, config):
    optimizer = build_optimizer(model, config)
    update(model, optimizer, learn, 0)
    keys = optimizer.tensors().keys()
    assert {key.rpartition("/")[0] for key in keys} == {name for name, _ in model.named_parameters()}
    assert {key.rpartition("/")[2] for key in keys} <= {"exp_avg", "exp_avg_sq", "momentum_buffer"}


def test_a_foreign_state_is_refused(model, learn):
    optimizer = build_optimizer(model, AdamWConfig())
    optimizer.check({})
    update(model, optimizer, learn, 0)
    shapes = {key: value.shape for key, value in optimizer.tensors().items()}
    optimizer.check(shapes)
    incomplete = {key: shape for key, shape in shapes.items() if key != "head.bias/exp_avg"}
    for foreign in (
        shapes | {"head.weight/momentum_buffer": (11, 8)},
        shapes | {"head.bias/exp_avg": (3,)},
        incomplete,
    ):
        with pytest.raises(LilliputError, match="does not fit") as refusal:
            optimizer.check(foreign)
        assert refusal.value.code == Exit.CONTENT


def test_masters_keep_what_bfloat16_cannot(model, learn):
    optimizer = build_optimizer(model, AdamWConfig(lr=1e-5), torch.bfloat16)
    before = weights_of(optimizer)
    update(model, optimizer, learn, 0)
    assert model.head.weight.dtype == torch.bfloat16
    after = optimizer.weights.named["head.weight"].detach()
    assert not torch.equal(before["head.weight"], after)
    assert torch.equal(model.head.weight, after.bfloat16())


def test_every_group_follows_the_schedule_from_its_own_peak(model):
    optimizer = build_optimizer(model, AdamWConfig(lr=0.1))
    assert optimizer.set_lr(0.5) == 0.05
    assert {group["lr"] for group in optimizer.param_groups} == {0.05, 0.1}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("config", CONFIGS)
def test_late_weights_stay_to_the_last_bit_until_their_update_and_move_then(model, learn, config, dtype):
    late = frozenset({"first.weight", "norm.bias", "head.weight"})
    optimizer = build_optimizer(model, config, dtype, late=late)
    optimizer.sleep(2)
    before = weights_of(optimizer)
    for step in range(3):
        update(model, optimizer, learn, step)
        moved = {name for name, weight in weights_of(optimizer).items() if not torch.equal(weight, before[name])}
        assert moved == set(before) - (late if step < 2 else set())


@pytest.mark.parametrize("dtype", DTYPES)
def test_frozen_weights_are_neither_updated_nor_rounded_where_they_are_saved(model, learn, dtype):
    model.second.requires_grad_(False)
    value = model.second.weight.detach().clone()
    optimizer = build_optimizer(model, CONFIGS[0], dtype)
    update(model, optimizer, learn, 0)
    assert not any(key.startswith("second") for key in optimizer.tensors())
    assert torch.equal(optimizer.weights.stored("second.weight"), value)
    optimizer.weights.load(lambda name: optimizer.weights.stored(name) * 2)
    assert torch.equal(optimizer.weights.stored("second.weight"), 2 * value)
    assert torch.equal(model.second.weight, (2 * value).to(dtype))


def test_what_is_missing_of_a_state_starts_at_zero(model, learn):
    optimizer = build_optimizer(model, CONFIGS[0])
    update(model, optimizer, learn, 0)
    kept = {key: value.clone() for key, value in optimizer.tensors().items() if key.startswith("first.")}
    optimizer.take(kept, 7)
    assert optimizer.updates == 7
    found = optimizer.tensors()
    assert all(torch.equal(found[key], kept[key]) if key in kept else not found[key].any() for key in found)


def test_rates_are_multiplied_by_the_factors_of_single_parameters(model):
    optimizer = build_optimizer(model, AdamWConfig(lr=1e-2), factors={"up.bias": 0.5})
    rates = {
        name: group["peak_lr"]
        for group in optimizer.param_groups
        for name, weight in optimizer.weights.named.items()
        if any(weight is member for member in group["params"])
    }
    assert (rates["up.bias"], rates["up.weight"], rates["first.weight"]) == (1e-2, 2e-2, 1e-2)
