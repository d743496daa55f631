import pytest
import torch

from lilliput.nn.state import KVCache, State


def filled(batch=3, time=4):
    state = KVCache([None, None], batch, 6)
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
    state = KVCache([None], 1, 2)
    state.note(torch.zeros(1, dtype=torch.int32), torch.arange(1))
    keys, _ = state.extend(0, torch.ones(1, 1, 1, 2).bfloat16(), torch.ones(1, 1, 1, 2).bfloat16())
    assert keys.dtype == torch.bfloat16


def test_a_layer_with_a_window_holds_no_more_than_its_window():
    state, full = KVCache([4, None], 2, 1000), 2 * 2 * 1000 * 5
    for time in (9, 1, 1, 3, 1):
        state.note(torch.zeros(time, dtype=torch.int32), torch.arange(time))
        for layer in range(2):
            state.extend(layer, torch.randn(2, 2, time, 5), torch.randn(2, 2, time, 5))
    assert [keys.numel() for keys, _ in state._held] == [2 * 2 * 4 * 5, full]


def test_a_ring_gives_what_new_tokens_may_see_and_takes_no_memory_for_one():
    state, tokens = KVCache([4], 1, 20), torch.arange(12.0).view(1, 1, 12, 1)
    for start, stop in ((0, 6), (6, 8), (8, 9), (9, 10), (10, 12)):
        state.note(torch.zeros(stop - start, dtype=torch.int32), torch.arange(stop - start))
        keys, _ = state.extend(0, tokens[:, :, start:stop], tokens[:, :, start:stop])
        if stop - start == 1:
            assert sorted(keys.flatten().tolist()) == list(range(stop - 4, stop))
            assert keys is state._held[0][0]
        else:
            assert keys.flatten().tolist() == list(range(max(0, start - 4), stop))


def test_a_family_without_its_own_selection_says_so():
    with pytest.raises(NotImplementedError):
        State().select(torch.tensor([0]))
