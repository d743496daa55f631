import pytest
import torch

from lilliput.nn.state import KVCache


def filled(batch=3, time=4):
    state = KVCache(2, batch, 6)
    state.note(torch.zeros(time, dtype=torch.int32), torch.arange(time))
    for layer in range(2):
        state.extend(layer, torch.randn(batch, 2, time, 5), torch.randn(batch, 2, time, 5))
    return state


def test_all_layers_fill_the_same_slots():
    state = filled()
    step = torch.randn(3, 2, 1, 5)
    state.note(torch.zeros(1, dtype=torch.int32), torch.tensor([4]))
    for layer in range(2):
        keys, values = state.extend(layer, step, -step)
        assert keys.shape == values.shape == (3, 2, 5, 5)
        assert torch.equal(keys[:, :, 4:], step)
        assert torch.equal(values[:, :, 4:], -step)
    assert state.positions[:, :5].tolist() == [[0, 1, 2, 3, 4]] * 3


def test_a_selection_is_a_copy():
    state = filled()
    chosen = state.select(torch.tensor([1]))
    chosen.note(torch.zeros(1, dtype=torch.int32), torch.tensor([4]))
    chosen.extend(0, torch.ones(1, 2, 1, 5), torch.ones(1, 2, 1, 5))
    assert (state.length, chosen.length) == (4, 5)
    state.note(torch.zeros(1, dtype=torch.int32), torch.tensor([4]))
    keys, _ = state.extend(0, torch.zeros(3, 2, 1, 5), torch.zeros(3, 2, 1, 5))
    assert not keys[1, :, 4].any()


def test_more_tokens_than_slots_are_refused():
    with pytest.raises(IndexError, match="6 slots, and 7 tokens"):
        filled().note(torch.zeros(3, dtype=torch.int32), torch.arange(3))


def test_keys_and_values_take_the_precision_of_the_first_ones_stored():
    state = KVCache(1, 1, 2)
    state.note(torch.zeros(1, dtype=torch.int32), torch.arange(1))
    keys, _ = state.extend(0, torch.ones(1, 1, 1, 2).bfloat16(), torch.ones(1, 1, 1, 2).bfloat16())
    assert keys.dtype == torch.bfloat16
