"""A batch in micro-batches against all of it at once in float64, loss and gradient, written out without our loop."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lilliput.models.llama import LlamaConfig
from lilliput.models.weights import build_model
from lilliput.optim import AdamWConfig, build_optimizer
from lilliput.tokens.batch import Batch
from lilliput.training.loop import train

VOCAB, LENGTH = 13, 6
MODEL = build_model(LlamaConfig(dim=8, num_layers=1, num_heads=2, num_kv_heads=1, ffn_dim=12), VOCAB, seed=0)
ORACLE = build_model(MODEL.config, VOCAB, seed=0).double()
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}
CASES = given(
    windows=st.lists(st.integers(0, LENGTH), min_size=1, max_size=16).filter(any),
    parts=st.integers(1, 16),
    seed=st.integers(0, 2**31),
)
"""Targets of each window: none in some, but not in all."""


def batch_of(windows, seed):
    draw = np.random.default_rng(seed)
    ids = draw.integers(0, VOCAB, (len(windows), LENGTH + 1))
    mask = draw.permuted(np.arange(LENGTH) < np.array(windows)[:, None], axis=1)
    return Batch(ids[:, :-1].copy(), ids[:, 1:].copy(), mask, np.zeros(mask.shape, np.int32), mask.sum(1))


def whole(batch):
    """(loss, gradients) of the mean over all targets, in float64."""
    labels = torch.from_numpy(np.where(batch.mask, batch.targets, -100))
    features = ORACLE(torch.from_numpy(batch.tokens), documents=torch.from_numpy(batch.documents)).features
    loss = torch.nn.functional.cross_entropy(ORACLE.head(features).flatten(0, 1), labels.flatten())
    return loss.item(), torch.autograd.grad(loss, list(ORACLE.parameters()))


def in_parts(batch, size, dtype):
    model = build_model(MODEL.config, VOCAB, seed=0).to(dtype)
    optimizer = build_optimizer(model, AdamWConfig())
    steps = train(
        model, optimizer, lambda _: batch, lambda _: 1.0, done=0, total=1, micro_batch_size=size, clip=0.0, seed=0
    )
    step = next(steps)
    return step, [gradient.double() for gradient in optimizer.weights.gradients()]


def check(windows, parts, seed):
    batch, size = batch_of(windows, seed), -(-len(windows) // parts)
    loss, expected = whole(batch)
    length = torch.nn.utils.get_total_norm(expected)
    for dtype, tolerance in TOLERANCE.items():
        step, found = in_parts(batch, size, dtype)
        assert step.micro_batches == -(-len(windows) // size) and step.targets == sum(windows)
        assert step.loss.item() == pytest.approx(loss, rel=tolerance)
        assert (
            torch.nn.utils.get_total_norm([a - b for a, b in zip(found, expected, strict=True)]) <= tolerance * length
        )
        assert step.grad_norm.item() == pytest.approx(length.item(), rel=tolerance)


@settings(max_examples=20)
@CASES
def test_a_batch_in_any_number_of_parts_has_the_loss_and_the_gradient_of_the_whole(**case):
    check(**case)


@pytest.mark.slow
@pytest.mark.promise("R23")
def test_two_thousand_batches_in_parts_have_the_loss_and_the_gradient_of_the_whole(figure):
    cases = settings(max_examples=2000, suppress_health_check=list(HealthCheck))(CASES(lambda **case: check(**case)))
    cases()
    figure("2,000 batches in 1 to 16 micro-batches, ragged, some without targets: loss and gradient within 1e-6")
