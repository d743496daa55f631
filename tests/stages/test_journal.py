import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lilliput.runs import metrics
from lilliput.runs.metrics import MetricsLog
from lilliput.stages.journal import Journal, Progress
from lilliput.training.loop import Step
from lilliput.training.meter import Meter


class WithoutFloat64(TorchDispatchMode):
    """A device as Apple's, which has no such numbers."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        assert getattr(result, "dtype", None) != torch.float64
        return result


def test_values_of_any_precision_reach_the_log_from_a_device_without_float64(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    journal = Journal(log, Meter(torch.device("cpu")), float, Progress())
    monitors = {"load": torch.tensor(0.5, dtype=torch.bfloat16)}
    with WithoutFloat64():
        journal.add(Step(1, torch.tensor(2.25), {}, monitors, torch.tensor(1.0), 0.1, 8, 8, 1, "digest"))
        journal.write()
    [record] = metrics.read(log.path)
    assert (record["loss"], record["monitor.load"]) == (2.25, 0.5)
    assert record["bpb"] == pytest.approx(2.25 / 0.6931471805599453)
