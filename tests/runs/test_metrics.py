"""The log: strict JSON, whole lines, cut to the step; nothing torn is read, nothing whole is lost."""

import json
import math

import pytest

from lilliput.runs import metrics
from lilliput.runs.damage import Damaged
from lilliput.runs.faults import faults
from lilliput.runs.metrics import CLOCK_KEYS, MetricsLog


@pytest.fixture
def log(tmp_path):
    return MetricsLog(tmp_path / "metrics.jsonl")


def steps(log):
    return [record["step"] for record in metrics.read(log.path)]


def test_records_come_back_exactly(log):
    records = [{"kind": "step", "step": 1, "loss": 0.1 + 0.2, "n": 2**60}, {"step": 1, "text": "zażółć\u2028\x00\n"}]
    log.write(*records)
    log.write({"step": 2})
    assert list(metrics.read(log.path)) == [*records, {"step": 2}]


def test_non_finite_numbers_are_words_that_python_reads_back(log):
    log.write({"step": 1, "loss": math.nan, "aux": {"a": [math.inf, -math.inf]}})
    (record,) = metrics.read(log.path)
    assert record == {"step": 1, "loss": "NaN", "aux": {"a": ["Infinity", "-Infinity"]}}
    assert math.isnan(float(record["loss"])) and float("Infinity") == math.inf


def test_a_lone_surrogate_in_a_text_is_stored_as_an_escape(log):
    log.write({"text": "\ud800"})
    assert log.path.read_bytes() == b'{"text":"\\ud800"}\n'
    assert list(metrics.read(log.path)) == [{"text": "\ud800"}]


def test_a_batch_of_records_is_one_write(log):
    calls = []
    faults.reset(trace=calls)
    log.write(*({"step": step} for step in range(50)))
    faults.reset()
    assert [call.operation for call in calls] == ["create", "append"]


def test_nothing_written_makes_no_file(log):
    log.write()
    log.sync()
    assert log.cut(3) == 0 and not log.path.exists() and list(metrics.read(log.path)) == []


def test_cutting_drops_later_steps_and_a_torn_last_line_and_writing_goes_on(log):
    log.write(*({"step": step} for step in (1, 2, 3)), {"kind": "event"}, {"step": 4})
    log.close()
    with log.path.open("ab") as file:
        file.write(b'{"step":5,"lo')
    assert steps_of(log) == [1, 2, 3, None, 4]
    assert log.cut(4) == len(b'{"step":5,"lo')
    assert log.cut(4) == 0
    assert log.cut(2) > 0
    log.write({"step": 3})
    assert steps(log) == [1, 2, 3]


def steps_of(log):
    return [record.get("step") for record in metrics.read(log.path)]


def test_cutting_to_a_size_drops_what_the_checkpoint_did_not_cover_of_its_own_step(log):
    log.write({"kind": "step", "step": 4})
    size = log.size()
    log.write({"kind": "validation", "step": 4})
    log.cut(4, size)
    assert [record["kind"] for record in metrics.read(log.path)] == ["step"] and log.size() == size


def test_every_truncation_of_the_last_lines_is_cut_to_whole_lines(log):
    log.write(*({"step": step, "loss": step / 3} for step in range(1, 6)))
    log.close()
    whole = log.path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(ends[1], len(whole) + 1):
        log.path.write_bytes(whole[:length])
        log.cut(5)
        assert steps(log) == list(range(1, 1 + sum(end <= length for end in ends)))


def test_zeros_that_a_power_cut_left_behind_the_synced_part_are_cut(log):
    log.write({"step": 1})
    size = log.size()
    log.close()
    with log.path.open("ab") as file:
        file.write(bytes(100) + b'\n{"step":3}\n')
    log.cut(1, size)
    assert steps(log) == [1]


@pytest.mark.parametrize("line", [b"{", b"[1]", b'{"step":NaN}', b"[" * 100_000, b"\xff"])
def test_a_malformed_line_inside_what_a_checkpoint_covers_is_an_error_with_its_number(log, line):
    log.path.write_bytes(b'{"step":1}\n' + line + b'\n{"step":2}\n')
    with pytest.raises(Damaged, match="line 2"):
        list(metrics.read(log.path))
    with pytest.raises(Damaged, match="line 2"):
        log.cut(9, log.path.stat().st_size)


def test_the_last_record_of_a_kind_is_found_without_reading_the_rest(log):
    log.write(*({"kind": "step", "step": step, "pad": "x" * 100} for step in range(2000)), {"kind": "validation"})
    log.close()
    with log.path.open("ab") as file:
        file.write(b'{"kind":"step","st')
    assert metrics.last(log.path)["step"] == 1999
    assert metrics.last(log.path, "sample") == {}
    assert metrics.last(log.path.with_name("none")) == {}


def test_two_records_differ_only_by_the_clock():
    record = {"step": 1, "loss": 2.0} | dict.fromkeys(CLOCK_KEYS, 5)
    assert metrics.without_clock([record]) == [{"step": 1, "loss": 2.0}]
    assert json.loads(metrics.encode(record)) == record
