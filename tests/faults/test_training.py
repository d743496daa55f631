"""Training that is killed, or refused by the disk, at every place that writes: afterwards nothing shows it."""

import signal

import pytest
from tests.faults.trainer import Trainer

from lilliput.config.errors import Exit

SHORT = {
    "training": {"length": {"steps": 6}},
    "rhythm": {"validate_every": 2, "sample_every": 3, "save_every": 2, "keep": 1},
}
"""All places that write, in a quarter of the time."""
FILES, NAMES = ("append", "allocate", "create", "fsync", "write"), ("mkdir", "rename", "rmdir", "sync_dir", "unlink")
PROMISED = {"kill": "R1", "killmid": "R1", "ENOSPC": "R4", "EIO": "R4"}
KILLS = (("kill", -signal.SIGKILL), ("killmid", -signal.SIGKILL))
FAULTS = (("ENOSPC", Exit.DISK_FULL), ("EIO", Exit.IO), *KILLS)


@pytest.fixture(scope="module")
def short(training_server, module_in_memory):
    return Trainer(training_server, module_in_memory, **SHORT)


def place(call):
    return f"{call['operation']}:{call['site']}"


@pytest.fixture(scope="module")
def calls(short):
    """The durable calls of a run that is never interrupted."""
    return short.start().trace()


@pytest.fixture(scope="module")
def commit(calls):
    """The place of the rename that makes a checkpoint."""
    return next(place(call) for call in calls if "/checkpoints/step-" in call["to"])


@pytest.mark.promise("R1")
@pytest.mark.parametrize("operation", [*FILES, "overwrite", *NAMES])
def test_whatever_happens_where_a_run_writes_it_ends_the_same(short, calls, operation):
    here = {place(call): None for call in calls if call["operation"] == operation}
    assert here
    for number, where in enumerate(here):
        run = short.start()
        for kind, code in (FAULTS[number % 2], *KILLS):  # each error at every other place; the slow tests at all
            found = run.attempt(fault=f"{kind}@{where}")
            if found == 0:  # the attempts before had come past this place for good
                run.check_end(where)
                run = short.start()
                found = run.attempt(fault=f"{kind}@{where}")
            assert found == code, (kind, where, run.said())
            run.check_checkpoints()
        run.check_finish(where)


def test_whatever_happens_where_a_resumed_run_tidies_up_it_ends_the_same(short, calls, commit):
    run = short.start()
    run.attempt(fault=f"kill@{commit}")
    here = sorted({place(call) for call in run.trace()} - {place(call) for call in calls})
    assert len(here) > 5
    for where in here:
        run = short.start()
        for kind, code in FAULTS:
            run.attempt(fault=f"kill@{commit}")
            assert run.attempt(fault=f"{kind}@{where}") == code, (kind, where, run.said())
            run.check_checkpoints()
        run.check_finish(where)


def test_what_a_kill_keeps_the_last_save_from_retiring_goes_when_the_run_is_started_again(short, calls):
    last = [call for call in calls if "/.dead-" in call["to"]][-1]
    run = short.start()
    assert run.attempt(fault=f"kill@{last['number']}") == -signal.SIGKILL
    assert len(list((run.path / "checkpoints").iterdir())) > len(short.expected["steps"])
    run.check_finish()


@pytest.mark.parametrize(("effect", "log"), [("validate", "metrics.jsonl"), ("sample", "samples.jsonl")])
def test_an_effect_that_is_caught_up_on_twice_is_in_the_log_once(short, commit, effect, log):
    run = short.start()
    assert run.attempt({"interrupt": (effect, 1)}) == Exit.TERMINATED
    assert run.newest_state()["open"] == [effect]
    assert run.attempt(fault=f"kill@{commit}") == -signal.SIGKILL
    assert f'"kind":"{effect}'.encode()[:-1] in (run.path / log).read_bytes()
    run.check_finish()


def test_logs_are_on_the_disk_before_the_checkpoint_that_refers_to_them(calls):
    commits = [call for call in calls if "/checkpoints/step-" in call["to"]]
    for log in ("metrics.jsonl", "samples.jsonl"):
        own = [call for call in calls if call["path"].endswith(log)]
        for commit in commits:
            before = [call["operation"] for call in own if call["number"] < commit["number"]]
            assert "append" not in before or before[-1] == "fsync"
    assert len(commits) > 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.promise(n)) for kind, n in PROMISED.items()])
def test_whatever_happens_at_any_durable_call_a_run_ends_the_same(short, calls, kind, figure):
    for call in calls:
        run = short.start()
        assert run.attempt(fault=f"{kind}@{call['number']}") == dict(FAULTS)[kind], (call, run.said())
        run.check_checkpoints()
        run.check_finish(call)
    figure(f"{kind} at each of the {len(calls)} durable calls of a run: all identical")


@pytest.mark.slow
@pytest.mark.promise("R1")
@pytest.mark.parametrize("kind", ["kill", "killmid"])
def test_a_kill_at_any_durable_call_of_a_recovery_changes_nothing(short, commit, kind, figure):
    """Each time the run begins from its first checkpoint, whose successor was killed as it was named."""
    first = short.start()
    assert first.attempt({"interrupt": ("save", 1)}) == Exit.TERMINATED
    assert first.attempt(fault=f"kill@{commit}") == -signal.SIGKILL
    recovery = range(1, 1 + next(call["number"] for call in first.trace() if place(call) == commit))
    for number in recovery:
        run = short.start()
        run.attempt({"interrupt": ("save", 1)})
        run.attempt(fault=f"kill@{commit}")
        assert run.attempt(fault=f"{kind}@{number}") == -signal.SIGKILL, (number, run.said())
        run.check_checkpoints()
        run.check_finish(number)
    figure(f"{kind} at each of {len(recovery)} durable calls from a resume to its first save: all identical")
