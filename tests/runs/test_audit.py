"""The audit finds every kind of damage and nothing in a sound run."""

import pytest

from lilliput.runs import durable
from lilliput.runs.audit import verify_run
from lilliput.runs.run import Run


@pytest.fixture
def run(tmp_path):
    run = Run.begin(str(tmp_path / "a"))
    run.write_config({"seed": 1})
    run.write_manifest()
    durable.make_dir(run.tokenizer)
    durable.write_new(run.tokenizer / "tokenizer.json", b"{}")
    for step in range(1, 7):
        run.metrics.write({"kind": "step", "step": step})
    run.metrics.write({"kind": "validation", "step": 6})
    for step in (3, 6):
        run.commit(step, lambda folder: {"x": durable.write_new(folder / "x", b"content")})
    yield run
    run.lock.release()


def gap(run):
    run.metrics.cut(5)
    run.metrics.write({"kind": "step", "step": 7})


def twice(run):
    run.metrics.write({"kind": "step", "step": 6})


HARMS = {
    "step-00000003": lambda run: (run.checkpoints / "step-00000003" / "x").write_bytes(b"c0ntent"),
    "step-00000006": lambda run: (run.checkpoints / "step-00000006" / "MANIFEST.json").unlink(),
    "set aside": lambda run: (run.checkpoints / "step-00000003").rename(run.checkpoints / ".bad-step-00000003-1"),
    "config.json": lambda run: run.config.unlink(),
    "manifest.json": lambda run: run.manifest.write_bytes(run.manifest.read_bytes().replace(b"numpy", b"nunpy")),
    "run.json": lambda run: (run.path / "run.json").write_bytes(b"{"),
    "ends with step 5": lambda run: run.metrics.cut(5),
    "step 7 follows step 5": gap,
    "step 6 follows step 6": twice,
    "line 8": lambda run: run.metrics.path.write_bytes(run.metrics.path.read_bytes() + b"nonsense\n"),
    "samples.jsonl": lambda run: run.samples.path.write_bytes(b"nonsense\n"),
    "tokenizer": lambda run: durable.remove_tree(run.tokenizer),
    "another run": lambda run: run.write_manifest(),
}


def test_a_sound_run_has_no_findings(run):
    assert verify_run(run) == []


@pytest.mark.parametrize("word", HARMS)
def test_a_harmed_run_has_findings_that_name_the_harm(run, word):
    HARMS[word](run)
    run.metrics.close()
    findings = verify_run(Run(run.path))
    assert findings and all(word in finding for finding in findings)
