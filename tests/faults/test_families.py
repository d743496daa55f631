"""Every family's training, killed at random times, ends to the last bit as if left alone: a new one is tested too."""

import pytest
from tests.contract.test_families import CONFIGS, KINDS
from tests.faults.trainer import Trainer, check_that_kills_change_nothing

from lilliput.config.load import dump

SHORT = {
    "training": {"length": {"steps": 8}, "context_length": 48, "batch_size": 4, "micro_batch_size": 2},
    "rhythm": {
        "log_every": 2,
        "validate_every": 2,
        "sample_every": 4,
        "sample_tokens": 4,
        "save_every": 3,
        "early_stop": {"patience": 2, "min_delta": 100.0},
    },
}
"""Accumulates, validates, samples, and ends after six of eight updates, because no loss falls by 100."""
CHEAP = "gpt2"
"""The family whose bf16 the default tests look at too."""
CASES = [(name, precision) for name in CONFIGS for precision in ("fp32", "bf16")]


def by_default(name: str, precision: str) -> bool:
    return name in KINDS if precision == "fp32" else name == CHEAP


@pytest.fixture(
    scope="module",
    params=[pytest.param(case, marks=() if by_default(*case) else pytest.mark.slow) for case in CASES],
    ids="-".join,
)
def trainer(request, training_server, module_in_memory):
    name, precision = request.param
    folder = module_in_memory / f"{name}-{precision}".replace(", ", "-")
    # each run has a home of its own, where `auto` would be measured anew, and the two forms differ in the last bits
    form = {"expert_dispatch": "sliced" if name in KINDS else "grouped", "precision": precision}
    changes = {**SHORT, "training": {**SHORT["training"], **form}}
    return Trainer(training_server, folder, model=dump(CONFIGS[name]), **changes)


@pytest.mark.promise("R1")
@pytest.mark.parametrize("runs", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_at_random_times_change_nothing_in_any_family(trainer, runs, figure):
    assert trainer.expected["state"]["ended"] == "early_stop"
    kills = sum(check_that_kills_change_nothing(trainer, seed) for seed in range(runs))
    figure("{} runs of the families in fp32 and bf16, {} kills at random times: all identical", runs, kills)
