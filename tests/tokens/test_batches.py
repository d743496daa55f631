import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.config.errors import Exit, LilliputError
from lilliput.tokens.batches import Batches, digest, validation_batches
from lilliput.tokens.bytes import ByteTokenizer
from lilliput.tokens.shards import Shard, shard_in_memory

LENGTHS = ByteTokenizer().lengths()
SIZES = st.lists(st.integers(1, 120), min_size=1, max_size=3)


def stream(shards, *, seed=1, batch_size=4, context_length=8, **more):
    return Batches(shards, seed=seed, batch_size=batch_size, context_length=context_length, lengths=LENGTHS, **more)


def shards_of(sizes):
    """One shard for each size, of two documents."""
    texts = [(np.arange(size) % 90 + 33).astype(np.uint8).tobytes().decode() for size in sizes]
    return [
        shard_in_memory([(0, text[: len(text) // 3]), (0, text[len(text) // 3 :])], ByteTokenizer()) for text in texts
    ]


def rows(batch):
    return [row.tobytes() + mask.tobytes() for row, mask in zip(batch.tokens, batch.mask, strict=True)]


@settings(max_examples=200)
@given(SIZES, st.integers(0, 2**63), st.integers(1, 7), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_any_split_into_segments_sees_the_same_batches(sizes, seed, batch_size, segments):
    shards = shards_of(sizes)
    whole = stream(shards, seed=seed, batch_size=batch_size)
    expected = [digest(whole.batch(step)) for step in range(1, sum(segments) + 1)]
    seen = []
    for length in segments:  # each segment is a process of its own
        resumed = stream(shards, seed=seed, batch_size=batch_size)
        seen += [digest(resumed.batch(len(seen) + 1 + i)) for i in range(length)]
    assert seen == expected


@settings(max_examples=60)
@given(SIZES, st.integers(1, 20), st.integers(1, 7))
def test_the_order_of_windows_does_not_depend_on_the_batch_size(sizes, steps, batch_size):
    shards = shards_of(sizes)
    single, several = stream(shards, batch_size=1), stream(shards, batch_size=batch_size)
    expected = [row for step in range(1, steps * batch_size + 1) for row in rows(single.batch(step))]
    assert [row for step in range(1, steps + 1) for row in rows(several.batch(step))] == expected


@settings(max_examples=100)
@given(st.integers(1, 200), st.integers(0, 2**63), st.integers(1, 8), st.integers(1, 8))
def test_each_epoch_visits_each_window_once(size, seed, batch_size, stride):
    batches = stream(shards_of([size]), seed=seed, batch_size=batch_size, stride=stride)
    everything = Counter(rows(batches.packings[0].rows(np.arange(batches.windows), LENGTHS)))
    seen = [row for step in range(1, 3 * batches.steps_per_epoch + 1) for row in rows(batches.batch(step))]
    for epoch in range(2):
        assert Counter(seen[epoch * batches.windows : (epoch + 1) * batches.windows]) == everything


def test_epochs_and_seeds_have_orders_of_their_own():
    shard = shards_of([2000])
    orders = set()
    for seed in (1, 2):
        batches = stream(shard, seed=seed, batch_size=1)
        for epoch in range(2):
            first = epoch * batches.windows + 1
            orders.add(tuple(digest(batches.batch(step)) for step in range(first, first + batches.windows)))
    assert len(orders) == 4


def test_a_mixture_has_the_shares_of_its_weights_and_each_source_its_own_epochs():
    shards = [shard_in_memory([(0, letter * size)], ByteTokenizer()) for letter, size in (("a", 4000), ("b", 80))]
    batches = stream(shards, batch_size=10, weights=[3, 1])
    seen = [bytes(row.tolist()) for step in range(1, 201) for row in batches.batch(step).tokens]
    small = [row for row in seen if b"b" in row]
    targets = np.sum([batches.batch(step).by_source(2) for step in range(1, 201)], axis=0)
    assert abs(targets[1] / targets.sum() - 0.25) < 0.001
    windows = len(batches.packings[1])
    for start in range(0, len(small) - windows, windows):
        assert len(Counter(small[start : start + windows])) == len(Counter(small[:windows]))
        assert Counter(small[start : start + windows]) == Counter(small[:windows])


MANY = 1_000_000


def million(batches, first, last):
    """Targets of each source for every window of a million tokens within updates `first` to `last`."""
    counts = np.array([batches.batch(step).by_source(len(batches.packings)) for step in range(first, last + 1)])
    sums = np.concatenate([np.zeros((1, counts.shape[1])), np.cumsum(counts, axis=0)])
    ends = np.searchsorted(sums.sum(1), sums.sum(1) + MANY)
    pairs = [(start, end) for start, end in enumerate(ends) if end < len(sums)]
    assert pairs
    return [(sums[end] - sums[start]) / (sums[end] - sums[start]).sum() for start, end in pairs]


def unlike_sources():
    """Long documents, very short ones, and one text that is a little longer than a window."""
    texts = [["a long text of this source. " * 9000], ["short " + "one" * (i % 3) for i in range(9000)], ["b" * 300]]
    return [shard_in_memory([(0, text) for text in source], ByteTokenizer()) for source in texts]


@pytest.mark.parametrize("weights", [[0.6, 0.3, 0.1], [0.34, 0.33, 0.33], [0.05, 0.9, 0.05], [1, 1, 2]])
def test_over_any_million_tokens_each_source_has_the_share_of_its_weight(weights):
    batches = stream(unlike_sources(), batch_size=64, context_length=256, weights=weights)
    wanted = np.array(weights) / sum(weights)
    for realised in million(batches, 1, 90):
        assert np.abs(realised - wanted).max() < 0.01


def test_by_windows_short_documents_and_padding_would_miss_the_shares():
    batches = stream(unlike_sources(), batch_size=64, context_length=256, weights=[1, 1, 2], by_windows=True)
    assert np.abs(million(batches, 1, 90)[0] - [0.25, 0.25, 0.5]).max() > 0.05


LATER = [(0.5, [0.1, 0.9, 0.0]), (0.9, [0.0, 0.2, 0.8])]


def test_each_stage_has_its_own_shares_within_any_million_tokens_of_it():
    batches = stream(unlike_sources(), batch_size=128, context_length=256, weights=[0.6, 0.3, 0.1], later=LATER)
    staged = batches.over(500)
    assert staged.starts(500) == [0, 250, 450]
    for wanted, first, last in [([0.6, 0.3, 0.1], 1, 60), ([0.1, 0.9, 0], 251, 310), ([0, 0.2, 0.8], 451, 500)]:
        for realised in million(staged, first, last):
            assert np.abs(realised - wanted).max() < 0.01


def test_stages_change_at_their_share_of_the_run_and_no_update_early():
    staged = stream(unlike_sources(), batch_size=10, weights=[1, 0, 0], later=[(0.25, [0, 1, 0])]).over(40)
    seen = [set(staged.batch(step).sources.tolist()) for step in range(1, 41)]
    assert seen == [{0}] * 10 + [{1}] * 30
    assert [staged.stage(step) for step in (1, 10, 11, 40)] == [0, 0, 1, 1]


@settings(max_examples=25)
@given(st.integers(0, 2**63), st.integers(1, 7), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_any_split_of_a_staged_run_sees_the_same_batches(seed, batch_size, segments):
    shards, total = shards_of([90, 40, 12]), sum(segments) + 3

    def begun():
        options = {"seed": seed, "batch_size": batch_size, "weights": [0.6, 0.3, 0.1], "later": LATER}
        return stream(shards, **options).over(total)

    whole = begun()
    expected = [digest(whole.batch(step)) for step in range(1, sum(segments) + 1)]
    seen = []
    for length in segments:
        resumed = begun()
        seen += [digest(resumed.batch(len(seen) + 1 + i)) for i in range(length)]
    assert seen == expected
    assert [digest(whole.batch(step)) for step in range(sum(segments), 0, -1)] == expected[::-1]


def test_across_stages_each_source_reads_each_of_its_windows_before_one_again():
    shards = shards_of([400, 160])
    staged = stream(shards, batch_size=3, weights=[0.7, 0.3], later=[(0.3, [0.2, 0.8])]).over(60)
    batches = [staged.batch(step) for step in range(1, 61)]
    for source, packing in enumerate(staged.packings):
        seen = [row for batch in batches for row, s in zip(rows(batch), batch.sources, strict=True) if s == source]
        everything = Counter(rows(packing.rows(np.arange(len(packing)), LENGTHS)))
        for start in range(0, len(seen) - len(packing) + 1, len(packing)):
            assert Counter(seen[start : start + len(packing)]) == everything


def test_repeats_are_what_is_drawn():
    staged = stream(shards_of([400, 160]), batch_size=3, weights=[0.7, 0.3], later=[(0.3, [0.2, 0.8])]).over(60)
    drawn = Counter(int(s) for step in range(1, 61) for s in staged.batch(step).sources)
    sizes = [len(packing) for packing in staged.packings]
    assert staged.repeats(60) == pytest.approx([drawn[source] / sizes[source] for source in range(2)])


def test_all_targets_are_those_of_one_source():
    batch = stream(shards_of([100])).batch(1)
    assert batch.by_source(1) == [batch.mask.sum()]


def test_the_targets_of_an_epoch_follow_the_shares_of_the_stages():
    staged = stream(unlike_sources(), batch_size=128, context_length=256, weights=[1, 0, 0], later=[(0.5, [0, 1, 0])])
    means = [packing.counted() / len(packing) for packing in staged.packings]
    assert staged.targets_per_epoch == pytest.approx(staged.windows * (means[0] + means[1]) / 2, rel=1e-4)


def test_weights_are_by_size_unless_given():
    batches = stream(shards_of([800, 80]))
    sizes = [len(packing) for packing in batches.packings]
    assert batches.mixtures[0].shares == pytest.approx(np.array(sizes) / sum(sizes), abs=1e-4)


def test_a_batch_at_step_a_billion_comes_in_under_a_millisecond():
    shards = [shard_in_memory([(0, "some text of one of the sources " * 4000)], ByteTokenizer()) for _ in range(2)]
    batches = stream(shards, batch_size=8, context_length=256, weights=[0.7, 0.3])
    seconds = []
    for step in range(10**9, 10**9 + 30):
        start = time.perf_counter()
        batches.batch(step)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1e-3


def test_epochs_count_windows():
    batches = stream(shards_of([10 * 8 - 3]), batch_size=4)  # 8 x 10 targets: the texts, 2 ends, 1 begin
    assert batches.windows == 10
    assert batches.steps_per_epoch == 3
    assert batches.epoch(5) == 2.0
    assert batches.targets_per_epoch == 10 * 8 - 1


@settings(max_examples=60)
@given(st.integers(1, 200), st.integers(1, 30), st.integers(1, 5))
def test_validation_reads_each_target_once_in_order(size, context_length, batch_size):
    shard = shards_of([size])[0]
    batches = list(validation_batches(shard, context_length, batch_size, LENGTHS))
    targets = np.concatenate([batch.targets[batch.mask] for batch in batches])
    begins = np.zeros(shard.num_tokens, bool)
    begins[shard.offsets[:-1]] = True
    assert targets.tolist() == shard.tokens[~begins].tolist()
    assert sum(batch.bytes.sum() for batch in batches) == size
    assert all(len(batch) == batch_size for batch in batches[:-1])


def test_validation_stops_at_its_limit():
    shard = shards_of([500])[0]
    assert len(list(validation_batches(shard, 8, 2, LENGTHS, limit=3))) == 3
    assert list(validation_batches(shard, 8, 2, LENGTHS, limit=0)) == []


def test_sources_shorter_than_a_window_make_batches_as_wide_as_the_longest():
    batches = stream(shards_of([5, 20]), batch_size=3, context_length=1000)
    assert batches.batch(1).tokens.shape == (3, 20 + 3)


@pytest.mark.parametrize("sizes", [[], [0]])
def test_no_text_is_an_error_that_says_so(sizes):
    shards: list[Shard] = [shard_in_memory([], ByteTokenizer()) for _ in sizes]
    with pytest.raises(LilliputError) as caught:
        stream(shards)
    assert caught.value.code is Exit.CONTENT


def test_a_digest_changes_with_each_field_that_decides_the_loss():
    batch = stream(shards_of([100])).batch(1)
    digests = {digest(batch)}
    for values in (batch.tokens, batch.targets, batch.mask, batch.documents):
        values[0, 0] ^= True
        digests.add(digest(batch))
    assert len(digests) == 5
    assert all(len(word) == 16 for word in digests)
