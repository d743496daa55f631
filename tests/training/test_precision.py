import numpy as np
import pytest
import torch

from lilliput.config.errors import Exit, LilliputError
from lilliput.models.modern import ModernConfig
from lilliput.models.weights import build_model
from lilliput.optim import AdamWConfig, MuonConfig, build_optimizer
from lilliput.tokens.batch import Batch
from lilliput.training.loop import Diverged, cross_entropy, train
from lilliput.training.precision import LossScale, Precision, candidates, check

CPU = torch.device("cpu")


def test_fp16_is_refused_on_a_cpu_with_a_way_out():
    with pytest.raises(LilliputError, match="CUDA") as refusal:
        check("fp16", CPU)
    assert refusal.value.code == Exit.RECIPE
    assert "bf16" in refusal.value.action


def test_automatic_precision_always_may_fall_back_to_fp32():
    assert candidates(CPU)[0] == "fp32"
    assert candidates(torch.device("mps")) == ["fp32"]


def test_only_bf16_lowers_the_weights():
    assert [Precision(name).weights for name in ("fp32", "bf16", "fp16")] == [
        torch.float32,
        torch.bfloat16,
        torch.float32,
    ]
    assert [Precision(name).scaler() is None for name in ("fp32", "bf16", "fp16")] == [True, True, False]


def steps_of(build, batches, scale, objective=cross_entropy, total=3):
    model = build()
    optimizer = build_optimizer(model, AdamWConfig(lr=1e-2))
    rest = {"done": 0, "total": total, "micro_batch_size": 4, "clip": 1.0, "seed": 1}
    return model, optimizer, train(model, optimizer, batches, lambda _: 1.0, scale=scale, objective=objective, **rest)


def test_a_loss_scale_changes_no_bit_of_an_update(build, batches):
    scaled, _, steps = steps_of(build, batches, LossScale())
    norms = [step.grad_norm.item() for step in steps]
    plain, _, steps = steps_of(build, batches, None)
    assert norms == [step.grad_norm.item() for step in steps]
    for one, other in zip(scaled.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_an_overflowing_gradient_halves_the_scale_and_leaves_the_update_out(build, batches):
    scale = LossScale(scale=8.0)
    model, optimizer, steps = steps_of(build, batches, scale)
    poisoned = {"now": True}
    model.embedding.weight.register_hook(lambda g: g * float("inf") if poisoned["now"] else g)
    before = model.embedding.weight.detach().clone()
    assert not torch.isfinite(next(steps).grad_norm)
    assert (scale.scale, optimizer.updates) == (4.0, 0)
    assert torch.equal(before, model.embedding.weight)
    poisoned["now"] = False
    next(steps)
    assert (scale.scale, optimizer.updates) == (4.0, 1)


def test_a_scale_that_cannot_shrink_further_is_a_divergence(build, batches):
    model, _, steps = steps_of(build, batches, LossScale(scale=1.0))
    model.embedding.weight.register_hook(lambda g: g * float("nan"))
    with pytest.raises(Diverged):
        next(steps)


def test_the_scale_doubles_after_its_patience_and_survives_a_checkpoint():
    scale = LossScale(scale=4.0, fits=LossScale.PATIENCE - 1)
    copied = LossScale()
    copied.load_state(scale.state())
    copied.grow()
    assert copied.state() == {"scale": 8.0, "fits": 0}


@pytest.mark.filterwarnings("ignore:In CPU autocast")
def test_fp16_learns_what_fp32_learns(build, batches):
    def learned(precision):
        model = build()
        optimizer = build_optimizer(model, AdamWConfig(lr=1e-2), precision.weights)
        rest = {"done": 0, "total": 12, "micro_batch_size": 4, "clip": 1.0, "seed": 1}
        scale = precision.scaler()
        steps = train(model, optimizer, lambda _: batches(1), lambda _: 1.0, precision=precision, scale=scale, **rest)
        return [step.loss.item() for step in steps], optimizer.updates

    plain, updates = learned(Precision("fp32"))
    half, made = learned(Precision("fp16"))  # on the CPU as a stand-in for the device it is meant for
    assert half == pytest.approx(plain, rel=0.02)
    assert half != plain
    assert made == updates


@pytest.mark.slow
@pytest.mark.parametrize("optim", [AdamWConfig(lr=1e-3), MuonConfig()], ids=["adamw", "muon"])
def test_two_hundred_updates_in_bf16_end_within_a_hundredth_nat_of_fp32(optim):
    # slow where bf16 is emulated
    text = np.frombuffer(("the cat sat on the mat, the dog lay by the door, and then " * 400).encode(), np.uint8)
    noise = np.random.default_rng(0)
    text = np.where(noise.random(len(text)) < 0.15, noise.integers(97, 123, len(text)), text)

    def batch(step):
        starts = np.random.default_rng(step).integers(0, len(text) - 33, 16)
        ids = np.stack([text[start : start + 33] for start in starts]).astype(np.int64)
        ones, alone = np.ones((16, 32), np.bool_), np.zeros((16, 32), np.int32)
        return Batch(ids[:, :-1].copy(), ids[:, 1:].copy(), ones, alone, ones.sum(1))

    ends = []
    for precision in (Precision("fp32"), Precision("bf16")):
        model = build_model(ModernConfig(dim=64, num_layers=2, num_heads=2, ffn_dim=256), 256, seed=0)
        steps = train(
            model,
            build_optimizer(model, optim, precision.weights),
            batch,
            lambda step: min(1.0, (201 - step) / 100),
            done=0,
            total=200,
            micro_batch_size=16,
            clip=1.0,
            seed=0,
            precision=precision,
        )
        ends.append(np.mean([step.loss.item() for step in list(steps)[-20:]]))
    assert abs(ends[0] - ends[1]) < 0.01, ends
