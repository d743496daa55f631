import threading
import time

import numpy as np
import pytest
import torch

from lilliput.training.loading import Loader, place


def test_workers_and_prefetch_change_no_batch_and_no_order(batches):
    def slowly(step):
        time.sleep(0.002 * (step % 3))
        return batches(step)

    for workers, prefetch in ((0, 0), (1, 1), (3, 5)):
        with Loader(slowly, total=9, workers=workers, prefetch=prefetch) as loader:
            for step in range(4, 10):
                assert np.array_equal(loader(step).tokens, batches(step).tokens)


def test_batches_are_made_ahead_in_other_threads_and_never_past_the_end(batches):
    made = {}

    def noting(step):
        made[step] = threading.current_thread().name
        return batches(step)

    with Loader(noting, total=3, workers=1, prefetch=8) as loader:
        loader(1)
        loader(2)
    assert set(made) <= {1, 2, 3}
    assert all(name.startswith("batches") for name in made.values())


def test_as_many_batches_as_prefetch_says_are_made_before_they_are_asked_for(batches):
    made, fourth = [], threading.Event()

    def noting(step):
        made.append(step)
        if step == 4:
            fourth.set()
        return batches(step)

    with Loader(noting, total=9, workers=1, prefetch=3) as loader:
        loader(1)
        assert fourth.wait(timeout=30)
        assert sorted(made) == [1, 2, 3, 4]


def test_waiting_is_counted(batches):
    def slowly(step):
        time.sleep(0.02)
        return batches(step)

    loader = Loader(slowly, total=2)
    loader(1)
    assert loader.waited >= 0.02


def test_an_error_while_making_a_batch_reaches_the_loop(batches):
    def failing(step):
        raise OSError("gone")

    with Loader(failing, total=2, workers=1) as loader, pytest.raises(OSError, match="gone"):
        loader(1)


def test_padding_keeps_its_documents(batches):
    batch = batches(1)
    batch.documents[0, -1] = -1
    placed = place(batch, torch.device("cpu"))
    assert placed.documents is not None
    assert placed.count == batch.mask.sum()
