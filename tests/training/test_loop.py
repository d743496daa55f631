import copy
import random
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.config.errors import Exit
from lilliput.optim import AdamWConfig, MuonConfig, build_optimizer
from lilliput.tokens.batch import Batch
from lilliput.tokens.batches import digest
from lilliput.training.loop import Diverged, Loss, cross_entropy, train

CONFIGS = [AdamWConfig(lr=1e-2), MuonConfig()]
DTYPES = [torch.float32, torch.bfloat16]


def run(model, optimizer, batches, *, done=0, total=10, micro_batch_size=4, seed=1, clip=1.0, **rest):
    return train(
        model,
        optimizer,
        batches,
        lambda step: 1 - step / 100,
        done=done,
        total=total,
        micro_batch_size=micro_batch_size,
        clip=clip,
        seed=seed,
        **rest,
    )


def facts(steps):
    """What must be identical: everything of a step, to the last bit."""
    return [
        (s.number, s.loss.item().hex(), s.grad_norm.item().hex(), s.lr.hex(), s.targets, s.bytes, s.batch_digest)
        for s in steps
    ]


def weights_of(optimizer):
    return {name: weight.detach().clone() for name, weight in optimizer.weights.named.items()}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def one_step(build, batch, micro_batch_size, config=CONFIGS[0], dtype=torch.float64, **options):
    """The step, and the gradients before they were clipped away by an optimizer that does nothing else."""
    model = build(**options).to(dtype)
    optimizer = build_optimizer(model, config)
    step = next(run(model, optimizer, lambda _: batch, micro_batch_size=micro_batch_size, clip=0.0))
    return step, [gradient.clone() for gradient in optimizer.weights.gradients()]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_ten_steps_equal_five_steps_and_a_resume(build, batches, config, dtype):
    model = build(dropout=0.3)
    optimizer = build_optimizer(model, config, dtype)
    whole = facts(run(model, optimizer, batches))

    first = build(dropout=0.3)
    before = build_optimizer(first, config, dtype)
    halves = facts(run(first, before, batches, total=5))
    second = build(seed=99, dropout=0.3)
    after = build_optimizer(second, config, dtype)
    after.weights.load(weights_of(before).__getitem__)
    after.load_tensors(copy.deepcopy(before.tensors()), before.updates)
    halves += facts(run(second, after, batches, done=5))

    assert whole == halves
    assert same(weights_of(optimizer), weights_of(after))
    assert same(optimizer.tensors(), after.tensors())


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 7), st.integers(0, 10**6), st.floats(0.0, 1.0))
def test_ragged_micro_batches_equal_one_whole_batch_gradients_included(build, batches, size, seed, kept):
    batch = batches(seed, windows=7, kept=kept)
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-6)):
        whole, expected = one_step(build, batch, 7, dtype=dtype)
        split, found = one_step(build, batch, size, dtype=dtype)
        assert split.loss.item() == pytest.approx(whole.loss.item(), rel=tolerance)
        apart = torch.stack([(one - other).norm() for one, other in zip(expected, found, strict=True)]).norm()
        assert apart <= tolerance * torch.stack([gradient.norm() for gradient in expected]).norm()


def test_the_gradient_is_that_of_the_mean_over_the_steps_own_targets(build, batches):
    batch = batches(4)
    _, gradients = one_step(build, batch, 4)
    model = build().double()
    logits = model.head(model(torch.from_numpy(batch.tokens)).features)
    labels = torch.from_numpy(np.where(batch.mask, batch.targets, -100))
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()).backward()
    for ours, parameter in zip(gradients, model.parameters(), strict=True):
        assert torch.allclose(ours, parameter.grad, rtol=1e-10, atol=1e-14)


def test_bfloat16_accumulates_in_float32(build, batches):
    batch = batches(0, windows=32)
    small = Batch(
        *(getattr(batch, name)[:1].repeat(32, 0) for name in ("tokens", "targets", "mask", "documents", "bytes"))
    )
    model = build()
    optimizer = build_optimizer(model, CONFIGS[0], torch.bfloat16)
    next(run(model, optimizer, lambda _: small, micro_batch_size=1, clip=0.0))
    many = [gradient.clone() for gradient in optimizer.weights.gradients()]
    once = build()
    other = build_optimizer(once, CONFIGS[0], torch.bfloat16)
    next(run(once, other, lambda _: small.split(1)[0], micro_batch_size=1, clip=0.0))
    for one, other_one in zip(many, other.weights.gradients(), strict=True):
        assert torch.allclose(one, other_one, rtol=1e-5, atol=1e-9)


def test_drawing_from_global_generators_between_steps_never_changes_training(build, batches):
    def trained(disturb):
        model = build(dropout=0.3)
        steps = []
        for step in run(model, build_optimizer(model, CONFIGS[0]), batches, total=4):
            steps.append(step)
            if disturb:
                random.random(), np.random.random(7), torch.rand(step.number), torch.manual_seed(step.number)
        return facts(steps), {name: p.detach() for name, p in model.named_parameters()}

    (calm, weights), (shaken, others) = trained(False), trained(True)
    assert calm == shaken
    assert same(weights, others)


def test_training_leaves_the_callers_generator_as_it_was(build, batches):
    model = build(dropout=0.3)
    state = torch.get_rng_state()
    list(run(model, build_optimizer(model, CONFIGS[0]), batches, total=2))
    assert torch.equal(state, torch.get_rng_state())


def test_dropout_differs_by_step_by_micro_batch_and_by_seed(build, batches):
    drawn = []

    def noting(model, batch):
        drawn.append(torch.rand(4).tolist())
        return cross_entropy(model, batch)

    for seed in (1, 2):
        model = build()
        list(
            run(
                model,
                build_optimizer(model, CONFIGS[0]),
                batches,
                total=3,
                micro_batch_size=3,
                seed=seed,
                objective=noting,
            )
        )
    assert len(drawn) == 12
    assert len({tuple(draw) for draw in drawn}) == 12


def test_a_caller_that_evaluates_between_steps_gets_dropout_back(build, batches):
    def trained(evaluate):
        model = build(dropout=0.3)
        steps = []
        for step in run(model, build_optimizer(model, CONFIGS[0]), batches, total=3):
            steps.append(step)
            if evaluate:
                model.eval()
        return facts(steps)

    assert trained(True) == trained(False)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["loss", "gradient", "aux"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_value_that_is_not_finite_is_found_before_it_is_applied(build, batches, where, value, dtype):
    model = build()
    optimizer = build_optimizer(model, CONFIGS[0], dtype)
    poisoned = {"now": False}
    model.embedding.weight.register_hook(
        lambda g: torch.full_like(g, value) if poisoned["now"] and where == "gradient" else g
    )

    def objective(model, batch):
        loss = cross_entropy(model, batch)
        if poisoned["now"] and where == "loss":
            return loss._replace(nats=loss.nats * value)
        return loss._replace(aux={"extra": loss.nats.detach() * value}) if poisoned["now"] and where == "aux" else loss

    steps = run(model, optimizer, batches, objective=objective)
    next(steps)
    before, state = weights_of(optimizer), copy.deepcopy(optimizer.tensors())
    poisoned["now"] = True
    with pytest.raises(Diverged, match=f"step 2.*batch {digest(batches(2))}") as failure:
        next(steps)
    assert failure.value.code == Exit.DIVERGED
    assert not torch.isfinite(
        failure.value.step.loss + failure.value.step.grad_norm + sum(failure.value.step.aux.values())
    )
    assert same(weights_of(optimizer), before)
    assert same(optimizer.tensors(), state)
    assert optimizer.updates == 1


def test_a_step_without_targets_has_loss_zero_and_nothing_becomes_nan(build, batches):
    empty = replace(batches(1), mask=np.zeros((6, 8), bool), bytes=np.zeros(6, np.int64))
    model = build()
    optimizer = build_optimizer(model, CONFIGS[0])
    steps = list(run(model, optimizer, lambda step: empty if step == 2 else batches(step), total=4))
    assert (steps[1].loss.item(), steps[1].grad_norm.item(), steps[1].targets) == (0.0, 0.0, 0)
    assert all(torch.isfinite(weight).all() for weight in weights_of(optimizer).values())


def test_a_weight_that_no_gradient_reached_keeps_the_common_counter(build, batches):
    def frozen(model, batch):
        loss = cross_entropy(model, batch)
        return Loss(loss.nats.detach() + 0 * model.embedding.weight.sum(), loss.targets)

    model = build()
    optimizer = build_optimizer(model, CONFIGS[0])
    list(run(model, optimizer, batches, total=2, objective=frozen))
    counters = {float(state["step"]) for part in optimizer.parts for state in part.state.values()}
    assert counters == {2.0}
    assert len(optimizer.tensors()) == 2 * len(optimizer.weights.named)


def test_gradients_longer_than_clip_are_shortened_to_it(build, batches):
    model = build()
    optimizer = build_optimizer(model, CONFIGS[0])
    step = next(run(model, optimizer, batches, clip=1e-3))
    assert step.grad_norm.item() > 1e-3
    assert torch.nn.utils.get_total_norm(optimizer.weights.gradients()).item() == pytest.approx(1e-3, rel=1e-2)


def test_auxiliary_losses_move_the_weights_and_stay_out_of_the_loss(build, batches):
    plain, without = one_step(build, batches(1), 6)
    aided, with_aux = one_step(build, batches(1), 6, aux=0.5)
    assert plain.loss.item() == aided.loss.item()
    assert aided.aux["spread"].item() > 0
    assert not any(torch.equal(one, other) for one, other in zip(without[1:], with_aux[1:], strict=True))
    assert set(aided.monitors) == {"width"}


def test_an_auxiliary_loss_weighs_the_same_however_the_batch_is_split(build, batches):
    half = batches(1, windows=3)
    fields = ("tokens", "targets", "mask", "documents", "bytes")
    doubled = Batch(*(np.concatenate([getattr(half, name)] * 2) for name in fields))
    whole, expected = one_step(build, doubled, 6, aux=0.5)
    split, found = one_step(build, doubled, 3, aux=0.5)
    assert split.aux["spread"].item() == pytest.approx(whole.aux["spread"].item(), rel=1e-10)
    assert all(torch.allclose(one, other, rtol=1e-9, atol=1e-13) for one, other in zip(expected, found, strict=True))


def test_gradients_shorter_than_clip_are_left_alone(build, batches):
    model = build().double()
    optimizer = build_optimizer(model, CONFIGS[0])
    next(run(model, optimizer, lambda _: batches(1), micro_batch_size=6, clip=1e3))
    _, alone = one_step(build, batches(1), 6)
    assert all(torch.equal(one, other) for one, other in zip(alone, optimizer.weights.gradients(), strict=True))


def test_steps_carry_counts_rate_and_digest(build, batches):
    model = build()
    steps = list(islice(run(model, build_optimizer(model, CONFIGS[0]), batches, done=3, total=9), 2))
    batch = batches(5)
    assert [step.number for step in steps] == [4, 5]
    assert steps[1].lr == pytest.approx(1e-2 * 0.95)
    assert (steps[1].targets, steps[1].bytes, steps[1].micro_batches) == (batch.mask.sum(), batch.bytes.sum(), 2)
    assert steps[1].batch_digest == digest(batch)


def test_document_ids_reach_the_model_only_where_a_window_holds_more_than_one(build, batches):
    batch = batches(1)
    packed = replace(batch, documents=batch.documents + (np.arange(8) > 3).astype(np.int32))
    model = build()
    list(
        run(
            model,
            build_optimizer(model, CONFIGS[0]),
            lambda step: packed if step == 2 else batch,
            total=2,
            micro_batch_size=6,
        )
    )
    assert model.seen_documents == [False, True]


def test_the_loss_falls(build, batches):
    model = build()
    losses = [s.loss.item() for s in run(model, build_optimizer(model, CONFIGS[0]), lambda _: batches(1), total=40)]
    assert losses[-1] < 0.7 * losses[0]
