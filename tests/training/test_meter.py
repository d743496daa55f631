import mmap

import pytest
import torch

from lilliput.training.meter import Meter, memory, peak_flops

CPU = torch.device("cpu")


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_rates_are_since_the_last_reading(clock):
    meter = Meter(CPU, clock=clock)
    meter.start()
    for targets in (100, 300):
        clock.now += 2.0
        meter.add(targets, 3)
    first = meter.read()
    clock.now += 1.0
    meter.add(50, 1)
    second = meter.read()
    assert [first[k] for k in ("seconds", "tokens_per_s", "updates_per_s", "micro_steps_per_s")] == [
        4.0,
        100.0,
        0.5,
        1.5,
    ]
    assert [second[k] for k in ("seconds", "tokens_per_s", "updates_per_s", "micro_steps_per_s")] == [
        5.0,
        50.0,
        1.0,
        1.0,
    ]


def test_a_pause_does_not_count(clock):
    meter = Meter(CPU, clock=clock)
    meter.start()
    clock.now += 1.0
    meter.add(10, 1)
    with meter.pause():
        clock.now += 60.0
    clock.now += 1.0
    meter.add(10, 1)
    assert meter.read()["tokens_per_s"] == 10.0
    assert meter.seconds == 2.0


def test_mfu_counts_three_forward_passes_against_the_peak(clock):
    meter = Meter(CPU, flops_per_token=1000, peak=12_000.0, clock=clock)
    meter.start()
    clock.now += 1.0
    meter.add(2, 1)
    assert meter.read()["mfu"] == pytest.approx(0.5)


def test_the_share_of_waiting_is_the_loaders(clock):
    waited = [5.0]
    meter = Meter(CPU, waited=lambda: waited[0], clock=clock)
    meter.start()
    clock.now += 4.0
    waited[0] += 1.0
    meter.add(1, 1)
    assert meter.read()["data_wait"] == 0.25


def test_without_a_peak_there_is_no_mfu_and_without_time_no_division_by_zero(clock):
    meter = Meter(CPU, clock=clock)
    meter.start()
    assert "mfu" not in meter.read()


def test_memory_is_what_this_process_holds_of_what_there_is():
    used, total = memory(CPU)
    size = 32 << 20
    with mmap.mmap(-1, size) as held:  # what is freed to the heap may be given out again without a new page
        held[::4096] = bytes([1]) * len(range(0, size, 4096))
        assert memory(CPU)[0] - used > size // 2
    assert used < total


def test_a_peak_is_measured():
    assert peak_flops(CPU, torch.float32, size=64, seconds=0.01) > 1e6


@pytest.mark.gpu
def test_no_product_is_faster_than_the_peak_of_an_accelerator():
    device = torch.device("cuda")
    peaks = {size: peak_flops(device, torch.bfloat16, size) for size in (1024, 2048, 4096)}
    assert max(peaks.values()) < 1.1 * peak_flops(device, torch.bfloat16)


def test_measuring_the_peak_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    peak_flops(CPU, torch.float32, size=64, seconds=0.01)
    assert torch.equal(torch.rand(2), expected)
