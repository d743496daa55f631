import math

import numpy as np
import pytest

from lilliput.evals.score import bits, perplexity, ratio


def test_a_figure_is_a_ratio_of_sums_not_a_mean_of_ratios():
    assert ratio(np.array([1.0, 9.0]), np.array([1.0, 3.0])).value == 10 / 4


def test_an_interval_covers_the_truth_about_95_times_in_100():
    draw = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        targets = draw.integers(20, 60, size=80).astype(float)
        nats = draw.gamma(2.0, 1.0, size=80) * targets
        figure = ratio(nats, targets)
        covered += figure.low < 2.0 < figure.high
    assert 178 <= covered <= 199


def test_the_same_tally_gives_the_same_interval():
    above, below = np.arange(50.0), np.arange(50.0) + 1
    assert ratio(above, below) == ratio(above, below)


def test_an_interval_over_many_units_is_narrow_around_the_value():
    above, below = np.random.default_rng(1).random((2, 3000))
    wide = ratio(above, below, resamples=700)
    assert wide.low < wide.value < wide.high
    assert wide.high - wide.low < 0.1


@pytest.mark.parametrize("shape", [perplexity, bits])
def test_a_shaped_interval_is_the_shape_of_the_interval(shape):
    above, below = np.random.default_rng(2).random((2, 40))
    plain, shaped = ratio(above, below), ratio(above, below, shape)
    assert (shaped.value, shaped.low, shaped.high) == tuple(map(shape, (plain.value, plain.low, plain.high)))


def test_one_unit_has_no_interval_and_no_text_has_no_value():
    assert ratio(np.array([2.0]), np.array([4.0])).low is None
    assert math.isnan(ratio(np.array([1.0, 2.0]), np.zeros(2)).value)
    assert math.isnan(ratio(np.zeros(0), np.zeros(0)).value)


def test_units_without_bytes_do_not_spoil_an_interval():
    figure = ratio(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 5.0]))
    assert math.isfinite(figure.low)
    assert math.isfinite(figure.high)


def test_perplexity_is_the_exponential_of_the_loss_and_never_an_error():
    assert perplexity(2.0) == math.exp(2.0)
    assert perplexity(1e6) == math.inf
