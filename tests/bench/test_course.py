import json

import pytest
from bench.course import follow, unrecorded

from lilliput.runs import metrics

TINY = [
    "data.sources=tiny",
    "model={family: modern, dim: 16, num_layers: 1, num_heads: 2, ffn_dim: 16}",
    "training={length: {steps: 6}, context_length: 16, batch_size: 2, micro_batch_size: 2}",
    "training.precision=fp32",
    "training.threads=1",
    "rhythm={log_every: 2, validate_every: 2, sample_every: 6, sample_tokens: 4, save_every: 6}",
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, module_home):
    return follow("lab/shakespeare", TINY, str(tmp_path_factory.mktemp("runs") / "whole"))


@pytest.fixture(scope="module")
def module_home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LILLIPUT_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def test_a_course_has_a_point_for_each_validation_in_seconds_of_training(whole):
    assert [point.step for point in whole.points] == [2, 4, 6]
    assert 0 < whole.points[0].seconds < whole.points[1].seconds < whole.seconds == whole.points[2].seconds
    assert whole.updates == 6
    assert whole.points[-1].nats < whole.points[0].nats


def test_a_course_ends_at_the_first_validation_that_passes(tmp_path):
    cut = follow("lab/shakespeare", TINY, str(tmp_path / "cut"), until=9.0)
    assert cut.updates == 2
    assert cut.passes(9.0) == cut.points[0]
    assert cut.passes(0.1) is None


def test_a_whole_run_records_everything(whole):
    assert list(unrecorded(whole.run, 6)) == []
    assert list(unrecorded(whole.run, 7)) == [
        "6 of 7 updates have a line",
        "there is no intact checkpoint of the last update",
    ]


@pytest.mark.parametrize("key", ["log_every", "validate_every", "sample_every", "save_every", "save_seconds"])
def test_what_is_switched_off_fails_a_benchmark(whole, key):
    kept = whole.run.config.read_text()
    tree = json.loads(kept)
    tree["rhythm"][key] = 0
    whole.run.config.write_text(json.dumps(tree))
    try:
        assert list(unrecorded(whole.run, 6)) == [f"rhythm.{key} is switched off"]
    finally:
        whole.run.config.write_text(kept)


def test_an_update_without_its_figures_fails_a_benchmark(whole):
    kept = whole.run.metrics.path.read_bytes()
    records = [{k: v for k, v in r.items() if k != "grad_norm"} for r in metrics.read(whole.run.metrics.path)]
    whole.run.metrics.path.write_bytes(b"".join(map(metrics.encode, records)))
    try:
        assert list(unrecorded(whole.run, 6)) == ["an update's line lacks grad_norm"]
    finally:
        whole.run.metrics.path.write_bytes(kept)
