import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lilliput.training.settings import LengthConfig, TrainingConfig, total_steps


def read(tree):
    return TypeAdapter(TrainingConfig).validate_json(json.dumps({"length": {"steps": 1}, **tree}))


def steps(length, **rate):
    return total_steps(length, steps_per_epoch=10, tokens_per_step=512, **rate)


def test_a_length_in_each_unit_becomes_updates():
    assert steps(LengthConfig(steps=7)) == 7
    assert steps(LengthConfig(epochs=2.5)) == 25
    assert steps(LengthConfig(tokens=1025)) == 3
    assert steps(LengthConfig(minutes=0.5), steps_per_minute=90.0) == 45


@given(st.floats(1e-6, 50), st.integers(1, 10_000))
def test_a_run_has_at_least_one_update_and_covers_its_epochs(epochs, per_epoch):
    total = total_steps(LengthConfig(epochs=epochs), steps_per_epoch=per_epoch, tokens_per_step=1)
    assert total >= 1
    assert epochs * per_epoch - 1e-6 <= total < epochs * per_epoch + 1


def test_three_tenths_of_ten_are_three_in_spite_of_the_last_bits():
    assert total_steps(LengthConfig(epochs=0.1 * 3), steps_per_epoch=10, tokens_per_step=1) == 3


def test_minutes_without_a_rate_are_a_fault_of_the_caller():
    with pytest.raises(ValueError, match="rate"):
        steps(LengthConfig(minutes=1.0))


@pytest.mark.parametrize(
    "tree, word",
    [
        ({"length": {}}, "exactly one"),
        ({"length": {"until_loss": 1.0}}, "none of them"),
        ({"length": {"steps": 1, "minutes": 1.0}}, "steps and minutes"),
        ({"length": {"steps": 0}}, "greater than or equal to 1"),
        ({"batch_size": 4, "micro_batch_size": 8}, "at most batch_size"),
        ({"micro_batch_size": 0}, "greater than or equal to 1"),
        ({"threads": 0}, "greater than or equal to 1"),
        ({"precision": "fp8"}, "fp16"),
    ],
)
def test_an_impossible_setting_is_refused_with_its_reason(tree, word):
    with pytest.raises(ValidationError, match=word):
        read(tree)


def test_until_loss_stands_beside_a_length():
    assert read({"length": {"steps": 9, "until_loss": 0.1}}).length == LengthConfig(steps=9, until_loss=0.1)


def test_a_length_reads_as_a_person_says_it():
    lengths = [LengthConfig(steps=20_000), LengthConfig(epochs=1.0), LengthConfig(minutes=2.5, until_loss=0.3)]
    said = ["20,000 updates", "1 epoch", "2.5 minutes, or until the loss is below 0.3"]
    assert [length.describe() for length in lengths] == said
