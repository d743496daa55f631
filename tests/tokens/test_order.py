import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.tokens.order import hash64, permute, permute_each

KEYS = st.integers(0, 2**64 - 1)


@settings(max_examples=300)
@given(st.integers(1, 700), KEYS)
def test_a_permutation_visits_every_index_once(size, key):
    assert sorted(permute(np.arange(size), size, key)) == list(range(size))


@settings(max_examples=100)
@given(st.integers(1, 2**62), KEYS, st.data())
def test_one_index_and_many_agree(size, key, data):
    indices = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=5))
    assert permute(np.array(indices), size, key).tolist() == [permute(i, size, key) for i in indices]


def test_a_billion_indices_cost_no_memory_and_no_time():
    permute(0, 10**9, 1)
    fastest = min(_seconds(lambda i=i: permute(i, 10**9, i)) for i in range(20))
    assert fastest < 1e-3


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_every_place_is_equally_likely():
    size, keys = 6, 6000
    counts = np.zeros((size, size))
    for key in range(keys):
        counts[np.arange(size), permute(np.arange(size), size, key)] += 1
    expected = keys / size
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 60  # 25 degrees of freedom: mean 25, one in 10,000 above 60


def test_neighbours_are_scattered():
    size = 100_000
    order = permute(np.arange(size), size, 7)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(np.arange(size), order)[0, 1]) < 0.02


def test_keys_name_different_orders():
    orders = {tuple(permute(np.arange(50), 50, key)) for key in range(200)}
    assert len(orders) == 200


def test_an_index_outside_the_range_is_refused():
    for index in (-1, 10):
        with pytest.raises(IndexError):
            permute(index, 10, 0)


@settings(max_examples=200)
@given(*2 * [st.lists(st.integers() | st.text(), max_size=4)])
def test_different_parts_have_different_hashes(a, b):
    assert (hash64(*a) == hash64(*b)) == (a == b)


def test_parts_that_read_alike_are_told_apart():
    words = [(1, 2), (12,), ("1", "2"), ("12",), (1, "2"), ("1", 2), ("", "12"), ("12", ""), ()]
    assert len({hash64(*word) for word in words}) == len(words)


def test_numpy_integers_hash_as_integers():
    assert hash64(np.int64(5)) == hash64(5)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(1, 10**12), st.integers(0, 2**64 - 1), st.floats(0, 0.999)), max_size=9))
def test_indices_of_several_permutations_go_where_each_sends_them_alone(cases):
    places = [(int(size * share), size, key) for size, key, share in cases]
    indices, sizes = (np.array([place[i] for place in places], np.int64) for i in (0, 1))
    together = permute_each(indices, sizes, [key for _, _, key in places])
    assert together.tolist() == [permute(*place) for place in places]


def test_the_order_of_existing_runs_stays_what_it_was():
    assert permute(np.arange(8), 1000, 42).tolist() == [673, 660, 547, 441, 128, 395, 506, 979]
