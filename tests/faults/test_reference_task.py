"""The reference task, killed at random times, stopped on request, started twice: it ends as if left alone."""

import random
import signal
from pathlib import Path

import pytest
from tests.faults import reference_task
from tests.faults.reference_task import CLOCKS, PHASES, STEPS
from tests.faults.trainer import PRELOAD, Trainer, check_that_kills_change_nothing, interrupted

from lilliput.config.errors import Exit
from lilliput.runs import metrics
from lilliput.runs.run import Run

STOPS = {signal.SIGTERM: Exit.TERMINATED, signal.SIGINT: Exit.INTERRUPTED}


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def trainer(training_server, module_in_memory):
    return Trainer(training_server, module_in_memory)


@pytest.fixture(scope="module")
def apart(kit, trainer, module_in_memory):
    """Saves beside training, and ends as a run that saves between updates, whatever hash seed its process has."""
    with kit.ForkServer(Path(reference_task.__file__), "train", PRELOAD) as server:
        found = Trainer(server, module_in_memory / "apart", task={"apart": True})
        assert repr(found.expected).replace("/apart/", "/") == repr(trainer.expected)  # but for where its texts lie
        yield found


def check_kills(trainer, part, runs, figure, what):
    kills = sum(check_that_kills_change_nothing(trainer, seed) for seed in range(runs * part, runs * (part + 1)))
    figure(f"{{}} runs {what}, {{}} kills at random times: all identical", runs, kills)


@pytest.mark.promise("R1")
@pytest.mark.parametrize(("part", "runs"), [(0, 5), (1, 5), *(slow(part, 25) for part in range(1, 9))])
def test_kills_at_random_times_change_nothing(trainer, part, runs, figure):
    check_kills(trainer, part, runs, figure, "of the reference task")


@pytest.mark.promise("R1")
@pytest.mark.parametrize(("part", "runs"), [(0, 2), *(slow(part, 25) for part in range(1, 5))])
def test_kills_while_a_checkpoint_is_written_beside_training_change_nothing(apart, part, runs, figure):
    check_kills(apart, part, runs, figure, "that save beside training")


@pytest.mark.promise("R4")
def test_a_disk_that_fails_beside_training_ends_the_run_with_its_code_and_costs_nothing(apart):
    calls = apart.start().trace()
    commits = [call["number"] for call in calls if "/checkpoints/" in call["path"] and call["operation"] == "write"]
    for number, fault in zip(commits[3 :: len(commits) // 4], 2 * ("ENOSPC", "EIO"), strict=True):
        run = apart.start()
        assert run.attempt(fault=f"{fault}@{number}") == (Exit.DISK_FULL if fault == "ENOSPC" else Exit.IO), run.said()
        run.check_checkpoints()
        run.check_finish(number)


def check_that_no_step_is_lost(run):
    """The step that was logged last is the newest checkpoint's."""
    stopped = Run.open(run.path)
    newest = stopped.newest(repair=False)
    steps = [record["step"] for record in metrics.read(stopped.metrics.path) if record["kind"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
    assert newest.manifest.get("step", 0) == len(steps)
    run.check_checkpoints()


@pytest.mark.promise("R5")
@pytest.mark.parametrize(
    ("number", "times", "seed"),
    [(signal.SIGTERM, 4, 1), (signal.SIGINT, 2, 1), *(slow(number, 25, seed) for number in STOPS for seed in (2, 3))],
)
def test_a_request_to_stop_at_a_random_time_loses_no_step(trainer, number, times, seed, figure):
    draw = random.Random(f"{number} {seed}")
    for _ in range(times):
        run, code = interrupted(trainer, draw, trainer.start(), number)
        assert code == STOPS[number] or (code == -number and not run.path.exists()), run.said()  # or it never began
        if run.path.exists():
            check_that_no_step_is_lost(run)
        run.check_finish()
    figure("{} requests to stop at random times: 0 steps lost, all identical on resume", times)


@pytest.mark.parametrize(
    ("effect", "step"), [("validate", 5), ("validate", 15), ("validate", STEPS), ("sample", 8), ("sample", STEPS)]
)
def test_an_effect_that_a_stop_interrupts_is_done_first_when_the_run_goes_on(trainer, effect, step):
    run, due = trainer.start(), {"validate": [5, 10, 15, 20, STEPS], "sample": [8, 16, STEPS]}
    assert run.attempt({"interrupt": (effect, due[effect].index(step) + 1)}) == Exit.TERMINATED
    check_that_no_step_is_lost(run)
    state = run.newest_state()
    assert state["step"] == step
    assert effect in state["open"]
    run.check_finish()


@pytest.mark.promise("R5")
@pytest.mark.parametrize(
    ("phase", "at"),
    [("prepare", 1), ("build", 1), ("backward", 1), ("update", 3), ("save", 2)]
    + [slow(phase, at) for phase in PHASES for at in (1, 2, 3, 5, 7)],
)
def test_a_request_to_stop_in_any_phase_loses_no_step(trainer, phase, at, figure):
    run = trainer.start()
    code = run.attempt({"interrupt": (phase, at)})
    assert code in (Exit.TERMINATED, 0), run.said()  # too late to end it where it ends itself
    if run.path.exists():  # before there is anything to keep a run leaves nothing
        check_that_no_step_is_lost(run)
    run.check_finish(phase)
    figure(f"{{}} requests in {len(PHASES)} phases, the first to the seventh time: 0 steps lost, all identical", 1)


@pytest.mark.promise("R7")
def test_draws_from_everybodys_generators_between_any_two_lines_change_nothing(trainer):
    run = trainer.start()
    assert run.attempt({"draws": True}) == 0, run.said()
    run.check_end()


@pytest.mark.promise("R19")
@pytest.mark.parametrize("clock", CLOCKS)
def test_whatever_the_wall_clock_says_a_run_is_the_same(trainer, clock):
    run = trainer.start()
    assert run.attempt({"interrupt": ("validate", 2)}) == Exit.TERMINATED
    assert run.attempt({"clock": clock}) == 0, run.said()
    run.check_end(clock)


def test_a_second_request_ends_the_process_at_once_and_damages_nothing(trainer):
    stop = {"interrupt": ("validate", 1)}
    commit = next(call for call in trainer.start().trace(stop) if "/step-00000005" in call["to"])
    run = trainer.start()
    assert run.attempt(stop, fault=f"term@{commit['number']}") == Exit.TERMINATED
    assert Run.open(run.path).newest(repair=False).manifest["step"] == 3
    assert any(path.name.startswith(".tmp-5-") for path in (run.path / "checkpoints").iterdir())
    run.check_finish()


@pytest.mark.promise("R11")
def test_of_two_that_start_at_once_one_trains_and_the_other_says_that_it_is_locked(trainer):
    run = trainer.start()
    assert run.attempt({"starts": 2}) == Exit.LOCKED
    assert run.outcome() == trainer.expected


@pytest.mark.slow
@pytest.mark.promise("R11")
@pytest.mark.parametrize("part", range(4))
def test_of_eight_that_start_at_once_one_trains_a_hundred_times(trainer, figure, part):
    for turn in range(25):
        run = trainer.start()
        assert run.attempt({"starts": 8}) == Exit.LOCKED, (part, turn, run.said())
        run.check_end((part, turn))
    figure("{} rounds of 8 starts: one trains to its end, 7 are refused within 2 s and write nothing", 25)


def test_a_second_start_in_a_run_that_is_being_written_writes_nothing(trainer):
    run = trainer.start()
    run.attempt({"interrupt": ("validate", 1)})
    writer = Run.begin(str(run.path), resume=True)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert run.attempt() == Exit.LOCKED
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    writer.lock.release()
    run.check_finish()
