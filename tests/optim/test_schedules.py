import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lilliput.optim.schedules import (
    ConstantConfig,
    CosineConfig,
    InverseSqrtConfig,
    LinearConfig,
    ScheduleConfig,
    StageConfig,
    TrapezoidConfig,
    WarmupConfig,
    multiplier,
    trapezoid,
    warmup_steps,
)

NONE = WarmupConfig(steps=0)
floors = st.floats(0, 1)
totals = st.integers(1, 500)
falling = st.one_of(
    st.builds(CosineConfig, floor=floors),
    st.builds(LinearConfig, floor=floors),
    st.builds(TrapezoidConfig, floor=floors, decay=st.floats(0.05, 1)),
    st.builds(InverseSqrtConfig, floor=floors),
)


@given(falling, totals)
def test_the_rate_rises_over_warm_up_then_never_rises_and_never_leaves_its_bounds(config, total):
    rates = [multiplier(config, step, total) for step in range(1, total + 1)]
    warmup = warmup_steps(config, total)
    assert all(a < b for a, b in pairwise(rates[:warmup]))
    assert all(a >= b - 1e-12 for a, b in pairwise(rates[warmup:]))
    assert all(0 < rate <= 1 + 1e-12 for rate in rates)
    assert all(rate >= config.floor - 1e-12 for rate in rates[warmup:])


@given(falling.filter(lambda config: not isinstance(config, InverseSqrtConfig)), st.integers(2, 500))
def test_the_floor_would_be_reached_one_update_after_the_last(config, total):
    assert multiplier(config, total + 1, total) == pytest.approx(config.floor)


def test_warm_up_ends_exactly_at_the_peak():
    config = CosineConfig(warmup=WarmupConfig(steps=4))
    assert [multiplier(config, step, 100) for step in range(1, 6)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_automatic_warm_up_is_a_twentieth_of_the_run_and_at_most_two_thousand():
    assert [warmup_steps(ConstantConfig(), total) for total in (10, 1000, 100_000)] == [0, 50, 2000]


def test_of_steps_and_share_the_smaller_counts():
    both = ConstantConfig(warmup=WarmupConfig(steps=100, share=0.15))
    assert [warmup_steps(both, total) for total in (200, 10_000)] == [30, 100]


def test_trapezoid_holds_then_falls_over_its_tail():
    assert [trapezoid(step, 100, decay=0.2) for step in (0, 80, 90, 100)] == pytest.approx([1, 1, 0.5, 0])


def test_cosine_and_linear_are_half_way_at_half_time():
    for config in (CosineConfig(warmup=NONE), LinearConfig(warmup=NONE)):
        assert multiplier(config, 51, 100) == pytest.approx(0.5)


def test_inverse_square_root_halves_when_time_since_warm_up_is_fourfold():
    config = InverseSqrtConfig(warmup=WarmupConfig(steps=10))
    assert multiplier(config, 41, 1000) == pytest.approx(0.5)


def test_stages_multiply_their_stretch_of_the_run():
    stages = (StageConfig(until=0.5, factor=2.0), StageConfig(until=0.75, factor=0.1))
    config = ConstantConfig(warmup=NONE, stages=stages)
    assert [multiplier(config, step, 100) for step in (1, 50, 51, 75, 76, 100)] == [2.0, 2.0, 0.1, 0.1, 1.0, 1.0]


def test_a_run_of_one_update_has_a_rate():
    for kind in ("cosine", "linear", "constant", "trapezoid", "inverse_sqrt"):
        config = TypeAdapter(ScheduleConfig).validate_json(json.dumps({"kind": kind}))
        assert math.isclose(multiplier(config, 1, 1), 1.0)


@pytest.mark.parametrize(
    "tree",
    [
        {"kind": "constant", "floor": 0.1},
        {"kind": "cosine", "decay": 0.2},
        {"kind": "cosine", "warmup": {}},
        {"kind": "cosine", "warmup": "always"},
        {"kind": "cosine", "stages": [{"until": 0.5, "factor": 1.0}, {"until": 0.5, "factor": 2.0}]},
    ],
)
def test_a_value_that_would_be_unused_or_impossible_is_refused(tree):
    with pytest.raises(ValidationError):
        TypeAdapter(ScheduleConfig).validate_json(json.dumps(tree))


@pytest.mark.parametrize("percent", range(1, 101))
def test_a_share_of_a_run_is_its_whole_number_of_updates(percent):
    config = ConstantConfig(warmup=WarmupConfig(share=percent / 100))
    assert warmup_steps(config, 100) == percent
    halved = ConstantConfig(warmup=WarmupConfig(steps=0), stages=(StageConfig(until=percent / 100, factor=0.5),))
    assert sum(multiplier(halved, step, 100) == 0.5 for step in range(1, 101)) == percent
