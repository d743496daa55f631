"""Exact resume on CUDA, where `training.deterministic` promises it: every family, in both precisions."""

import pytest
import torch
from tests.contract.test_families import CONFIGS, KINDS
from tests.faults.reference_task import recipe
from tests.stages.test_resume import Runs

from lilliput.config.load import dump

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", KINDS)
def test_a_stopped_run_ends_on_an_accelerator_as_if_never_stopped(tmp_path, monkeypatch, family, precision):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    training = {
        "device": "cuda",
        "deterministic": True,
        "precision": precision,
        "length": {"steps": 8},
        "context_length": 48,
        "batch_size": 4,
        "micro_batch_size": 2,
        "expert_dispatch": "grouped" if precision == "bf16" else "sliced",
    }
    rhythm = {"log_every": 2, "validate_every": 3, "sample_every": 4, "save_every": 2}
    recipe(tmp_path, model=dump(CONFIGS[family]), training=training, rhythm=rhythm)
    runs = Runs(tmp_path, monkeypatch)
    runs.train("whole")
    runs.train("stopped", stop_at=3)
    runs.train("stopped", stop_at=5)
    runs.train("stopped")
    assert runs.outcome("stopped") == runs.outcome("whole")
