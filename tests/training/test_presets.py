import math
from itertools import islice

import numpy as np
import pytest

from lilliput.models import PRESETS
from lilliput.models.presets import summary
from lilliput.models.weights import build_model
from lilliput.optim import AdamWConfig, build_optimizer
from lilliput.tokens.batch import Batch
from lilliput.training.loop import train

LARGEST = 250e6
"""Parameters: with gradients and the optimiser's state they take 16 bytes each."""
WINDOWS, CONTEXT = 2, 128


def random_batch(number: int, vocab: int) -> Batch:
    tokens = np.random.default_rng(number).integers(vocab, size=(WINDOWS, CONTEXT + 1))
    shape = (WINDOWS, CONTEXT)
    mask, documents, lengths = np.ones(shape, bool), np.zeros(shape, np.int32), np.full(WINDOWS, CONTEXT)
    return Batch(tokens[:, :-1], tokens[:, 1:], mask, documents, lengths)


def first_loss(config, vocab: int) -> float:
    """Nats of knowing nothing; a tied `modern`, whose blocks start at zero, scores the token itself 0.02 x dim."""
    own = 0.02 * config.dim if config.family == "modern" and config.tied else 0.0
    return math.log(vocab - 1 + math.exp(own))


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_begins_knowing_nothing_and_two_updates_move_every_parameter(name):
    found = summary(name)
    if found.counts.total > LARGEST:
        pytest.skip(f"{found.counts.total:,} parameters are more than a small machine trains")
    model = build_model(found.config, found.vocab_size, seed=0)
    before = {key: parameter.detach().clone() for key, parameter in model.named_parameters()}
    steps = train(
        model,
        build_optimizer(model, AdamWConfig(weight_decay=0.0)),  # decay would move what no gradient reaches
        lambda number: random_batch(number, found.vocab_size),
        lambda number: 1.0,
        done=0,
        total=2,
        micro_batch_size=1,
        clip=1.0,
        seed=0,
    )
    first, second = islice(steps, 2)
    assert first.loss.item() == pytest.approx(first_loss(found.config, found.vocab_size), abs=0.3)
    assert math.isfinite(second.loss.item())
    # a second one, because an output matrix that starts at zero hides what lies before it from the first
    still = [key for key, parameter in model.named_parameters() if parameter.equal(before[key])]
    assert still == []
