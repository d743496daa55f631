"""The order of data against a naive one: lists that are shuffled epoch by epoch, read through from the beginning."""

from collections import Counter
from functools import cache
from itertools import count, islice
from time import process_time
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lilliput.tokens import mixture
from lilliput.tokens.batches import Batches
from lilliput.tokens.bytes import ByteTokenizer
from lilliput.tokens.mixture import Mixture
from lilliput.tokens.order import hash64, permute
from lilliput.tokens.shards import shard_in_memory
from lilliput.training.loading import Loader

LENGTHS = ByteTokenizer().lengths()
SOURCES = st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9)), min_size=1, max_size=5)
CASES = given(
    sources=SOURCES,
    seed=st.integers(0, 2**63),
    batch_size=st.integers(1, 7),
    stride=st.integers(1, 8),
    workers=st.sampled_from([0] * 12 + [1, 2, 4]),
    segments=st.lists(st.integers(1, 8), min_size=1, max_size=6),
    cut_at_epochs=st.booleans(),
    period=st.integers(100, 400),
)
"""Short schedules begin anew within a case; to make the one that runs have takes longer than the rest of it."""


@cache
def shard_of(number, size):
    text = (np.arange(size) * (number + 3) % 90 + 33).astype(np.uint8).tobytes().decode()
    return shard_in_memory([(0, text[: size // 3]), (0, text[size // 3 :])], ByteTokenizer())


def naive(batches, seed):
    """(source, window) of every position: sources by the mixture's schedule, each from its own shuffled lists."""
    sizes = [len(packing) for packing in batches.packings]
    schedule, drawn, epochs = batches.mixtures[0].sources, Counter(), {}
    for position in count():
        source = int(schedule[position % len(schedule)])
        epoch, place = divmod(drawn[source], sizes[source])
        if (source, epoch) not in epochs:
            key = hash64("epoch order", seed, source, epoch)
            epochs[source, epoch] = permute(np.arange(sizes[source]), sizes[source], key).tolist()
            assert sorted(epochs[source, epoch]) == list(range(sizes[source]))
        drawn[source] += 1
        yield source, epochs[source, epoch][place]


def check(period, **case):
    with patch.object(mixture, "PERIOD", period):
        check_segments(**case)


def check_segments(sources, seed, batch_size, stride, workers, segments, cut_at_epochs):
    shards = [shard_of(number, size) for number, (size, _) in enumerate(sources)]
    weights = [weight for _, weight in sources]

    def stream():
        return Batches(
            shards,
            weights,
            seed=seed,
            batch_size=batch_size,
            context_length=8,
            stride=min(stride, 8),
            lengths=LENGTHS,
        )

    whole, done = stream(), 0
    if cut_at_epochs:  # a step before, at and after the border
        border = max(2, min(whole.steps_per_epoch, 20))
        segments = [border - 1, 1, 1, *segments]
    expected = naive(whole, seed)
    for length in segments:  # each is a process of its own
        with Loader(stream().batch, total=done + length, workers=workers, prefetch=2) as loader:
            for step in range(done + 1, done + length + 1):
                places = list(islice(expected, batch_size))
                parts = [whole.packings[source].rows(np.array([window]), LENGTHS) for source, window in places]
                batch = loader(step)
                for name in ("tokens", "targets", "mask", "documents"):
                    assert np.array_equal(getattr(batch, name), np.concatenate([getattr(p, name) for p in parts]))
        done += length


@settings(max_examples=60)
@CASES
def test_any_run_in_segments_reads_what_naive_lists_would_give(**case):
    check(**case)


@pytest.mark.slow
@pytest.mark.promise("R6")
@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_runs_in_segments_read_what_naive_lists_would_give(figure, part):
    cases = settings(max_examples=2500, suppress_health_check=list(HealthCheck))(CASES(lambda **case: check(**case)))
    began = process_time()
    cases()
    seconds = process_time() - began
    figure("{:,} streams in segments, 0 to 4 workers: 0 differ from naive lists, {:.0f} s of a core", 2500, seconds)


@pytest.mark.promise("R6")
@pytest.mark.parametrize("weights", [[1], [3, 1], [0.6, 0.3, 0.1], [1, 1e-3]])
def test_the_schedule_of_a_mixture_is_in_step_with_its_weights_from_the_first_position(weights):
    sources = np.resize(Mixture(weights).sources, 100_000)
    for source, share in enumerate(np.asarray(weights) / np.sum(weights)):
        drawn = np.cumsum(sources == source)
        assert np.abs(drawn - share * np.arange(1, len(sources) + 1)).max() <= 2 + 1e5 / (1 << 16)
