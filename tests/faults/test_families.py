"""Every family's training, killed at random times, ends to the last bit as if left alone: a new one is tested too."""

from pathlib import Path

import pytest
from tests.contract.test_families import CONFIGS, KINDS
from tests.faults import reference_task
from tests.faults.trainer import PRELOAD, Trainer, check_that_kills_change_nothing

from lilliput.config.load import dump

SHORT = {
    "training": {"length": {"steps": 8}, "context_length": 48, "batch_size": 4, "micro_batch_size": 2},
    "rhythm": {"log_every": 2, "validate_every": 3, "sample_every": 4, "save_every": 2},
}


@pytest.fixture(scope="module")
def server(kit):
    with kit.ForkServer(Path(reference_task.__file__), "train", PRELOAD) as running:
        yield running


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=() if name in KINDS else pytest.mark.slow) for name in CONFIGS]
)
def trainer(request, server, module_in_memory):
    folder = module_in_memory / request.param.replace(", ", "-")
    # each run has a home of its own, where `auto` would be measured anew, and the two forms differ in the last bits
    form = {"expert_dispatch": "sliced" if request.param in KINDS else "grouped"}
    changes = {**SHORT, "training": {**SHORT["training"], **form}}
    return Trainer(server, folder, model=dump(CONFIGS[request.param]), **changes)


def test_kills_at_random_times_change_nothing_in_any_family(trainer):
    for seed in range(5):
        check_that_kills_change_nothing(trainer, seed)


@pytest.mark.slow
def test_twenty_runs_killed_at_random_times_end_as_if_left_alone_in_any_family(trainer):
    for seed in range(100, 120):
        check_that_kills_change_nothing(trainer, seed)
