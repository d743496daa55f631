import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.tokens.mixture import PERIOD, Mixture, Stages

WEIGHTS = st.lists(st.floats(0.01, 1), min_size=1, max_size=6)


@settings(max_examples=25)
@given(WEIGHTS, st.integers(0, 10**12), st.integers(20_000, 60_000))
def test_shares_match_the_weights_within_one_per_cent_over_any_long_window(weights, start, length):
    sources, _ = Mixture(weights).locate(np.arange(start, start + length))
    realised = np.bincount(sources, minlength=len(weights)) / length
    assert np.abs(realised - np.array(weights) / sum(weights)).max() < 0.01


@settings(max_examples=15)
@given(WEIGHTS)
def test_no_prefix_runs_far_ahead_of_its_shares(weights):
    mixture = Mixture(weights)
    sources, _ = mixture.locate(np.arange(2 * PERIOD))
    for source, share in enumerate(mixture.shares):
        ahead = np.cumsum(sources == source) - share * np.arange(1, 2 * PERIOD + 1)
        assert np.abs(ahead).max() < 1


@settings(max_examples=15)
@given(WEIGHTS, st.integers(0, 3 * PERIOD))
def test_each_source_is_counted_without_gaps(weights, start):
    mixture = Mixture(weights)
    sources, ordinals = mixture.locate(np.arange(start, start + 2000))
    before = np.bincount(mixture.locate(np.arange(start))[0], minlength=len(weights))
    for source in range(len(weights)):
        mine = ordinals[sources == source]
        assert mine.tolist() == list(range(before[source], before[source] + len(mine)))


@pytest.mark.parametrize("count", [2, 4, 6, 12])
def test_a_million_tokens_in_windows_of_4096_have_the_shares_of_any_weights(count):
    windows, draw = 1_000_000 // 4096, np.random.default_rng(count)
    for spread in (0.3, 1, 5):
        weights = draw.dirichlet(np.full(count, spread)) + 1e-3
        sources, _ = Mixture(weights).locate(np.arange(2 * PERIOD))
        for source, share in enumerate(weights / weights.sum()):
            sums = np.concatenate([[0], np.cumsum(sources == source)])
            assert np.abs((sums[windows:] - sums[:-windows]) / windows - share).max() < 0.01


def test_older_runs_keep_the_schedule_that_they_had():
    assert Mixture([0.7, 0.2, 0.1], by_middles=True).sources[:12].tolist() == [0, 0, 1, 0, 2, 0, 0, 1, 0, 0, 0, 0]


def test_a_source_alone_gets_every_position():
    sources, ordinals = Mixture([0.3]).locate(np.arange(PERIOD - 5, PERIOD + 5))
    assert not sources.any()
    assert ordinals.tolist() == list(range(PERIOD - 5, PERIOD + 5))


def test_simple_weights_repeat_after_few_positions():
    sources, ordinals = Mixture([0.25, 0.75]).locate(np.arange(8))
    assert sorted(sources[:4]) == [0, 1, 1, 1]
    assert sources[4:].tolist() == sources[:4].tolist()
    assert sorted(ordinals[sources == 1]) == list(range(6))


def test_a_tiny_weight_still_occurs_and_a_zero_weight_never_does():
    sources, _ = Mixture([1, 1e-9, 0]).locate(np.arange(PERIOD))
    assert np.bincount(sources, minlength=3).tolist() == [PERIOD - 1, 1, 0]


@pytest.mark.parametrize("weights", [[], [0, 0], [-1, 2], [float("inf")], [float("nan")]])
def test_weights_without_a_share_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        Mixture(weights)


STAGES = st.lists(st.tuples(st.integers(1, 3 * PERIOD), st.tuples(*[st.floats(0.01, 1)] * 3)), min_size=1, max_size=4)


def staged(stages):
    starts = np.concatenate([[0], np.cumsum([length for length, _ in stages])[:-1]])
    return Stages([Mixture(weights) for _, weights in stages], starts.tolist()), starts.tolist()


@settings(max_examples=10)
@given(STAGES, st.integers(0, 8 * PERIOD))
def test_in_stages_each_source_goes_on_where_it_was(stages, start):
    mixture, _ = staged(stages)
    sources, ordinals = mixture.locate(np.arange(start, start + 3000))
    before = np.bincount(mixture.locate(np.arange(start))[0], minlength=3)
    assert mixture.count(start).tolist() == before.tolist()
    for source in range(3):
        mine = ordinals[sources == source]
        assert mine.tolist() == list(range(before[source], before[source] + len(mine)))


@settings(max_examples=10)
@given(STAGES)
def test_each_stage_has_its_own_shares_from_its_first_position_to_its_last(stages):
    mixture, starts = staged(stages)
    for (length, weights), start in zip(stages, starts, strict=True):
        sources, _ = mixture.locate(np.arange(start, start + length))
        realised = np.bincount(sources, minlength=3)
        wanted = np.array(weights) / sum(weights) * length
        assert np.abs(realised - wanted).max() <= 2.5 + length / PERIOD
        assert mixture.stage(start) == mixture.stage(start + length - 1) == starts.index(start)


def test_one_stage_is_the_mixture_alone():
    alone, positions = Mixture([0.7, 0.2, 0.1]), np.arange(5000, 9000)
    found, wanted = Stages([alone], [0]).locate(positions), alone.locate(positions)
    assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
    assert Stages([alone], [0]).count(7777).tolist() == alone.count(7777).tolist()


def test_a_stage_without_a_position_changes_nothing():
    alone, positions = Mixture([0.7, 0.3]), np.arange(4000)
    sources, _ = Stages([Mixture([1, 9]), alone, Mixture([5, 5])], [0, 0, 3000]).locate(positions)
    assert sources[:3000].tolist() == alone.locate(positions)[0][:3000].tolist()


def test_a_source_may_be_absent_from_a_stage():
    sources, ordinals = Stages([Mixture([1, 0]), Mixture([0, 1])], [0, 100]).locate(np.arange(200))
    assert sources.tolist() == [0] * 100 + [1] * 100
    assert ordinals[100:].tolist() == list(range(100))
