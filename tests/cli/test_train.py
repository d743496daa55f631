import errno
import json
import signal
from pathlib import Path

import pytest

from lilliput.cli import main
from lilliput.config.errors import Exit
from lilliput.runs import ledger, metrics
from lilliput.runs.run import Run
from lilliput.runs.tensors import read_tensors

RECIPE = """
data: {sources: tiny, split: {kind: tail, validation: 0.3}}
model: {family: modern, dim: 16, num_layers: 1, num_heads: 2, ffn_dim: 16}
optim: {kind: adamw, lr: 0.01}
training: {length: {steps: 6}, context_length: 24, batch_size: 4, micro_batch_size: 2, precision: fp32, threads: 1}
rhythm: {log_every: 2, validate_every: 3, sample_every: 6, sample_tokens: 4, save_every: 3, keep: 9}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder of one's own with a recipe in it; afterwards signals do what they did before."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(RECIPE, encoding="utf-8")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def train(*words: str, code: int = 0) -> None:
    assert main(["train", *words]) == code


def setting(run: str, key: str):
    value = json.loads(Run.open(run).config.read_text(encoding="utf-8"))
    for name in key.split("."):
        value = value[name]
    return value


def log(run: str) -> list[dict]:
    """The run's metrics without what depends on the clock."""
    records = metrics.read(Run.open(run).metrics.path)
    return [{key: value for key, value in record.items() if key not in metrics.CLOCK_KEYS} for record in records]


def weights(run: str, step: int) -> dict[str, bytes]:
    with read_tensors(Run.open(run).checkpoint(str(step)) / "model.safetensors") as tensors:
        return {name: tensors[name].tobytes() for name in tensors}


def test_words_on_the_command_line_win_over_the_recipe_lists_in_json_included():
    sources = 'data.sources=[{"name": "tiny", "weight": 0.6}, {"path": "small.yaml", "kind": "text", "weight": 0.4}]'
    train("small.yaml", sources, "optim.lr=2e-3", "training.length.steps=1", "data.split.kind=tail", "--run", "mixed")
    assert [source["weight"] for source in setting("mixed", "data.sources")] == [0.6, 0.4]
    assert setting("mixed", "optim.lr") == 0.002
    assert Run.open("mixed").recipe.read_text(encoding="utf-8") == RECIPE
    assert len(log("mixed")) == 2  # one update, one validation


def test_a_run_goes_on_by_its_name_alone_as_if_it_had_not_stopped():
    train("small.yaml", "--run", "whole")
    train("small.yaml", "--run", "cut")
    for file in (last := Run.open("cut").checkpoint("6")).iterdir():
        file.unlink()
    last.rmdir()
    train("cut", "--resume")
    assert log("cut") == log("whole")
    assert weights("cut", 6) == weights("whole", 6)
    assert Run.open("cut").samples.path.read_bytes() == Run.open("whole").samples.path.read_bytes()


def test_a_resume_that_is_refused_leaves_the_run_as_it_was(capsys):
    train("small.yaml", "--run", "run")
    before = {path: path.read_bytes() for path in Run.open("run").path.iterdir() if path.is_file()}
    train("run", "--resume", "optim.lr=0.5", code=Exit.CONTENT)
    assert "optim.lr is 0.01 in the run and 0.5 now" in " ".join(capsys.readouterr().err.split())
    after = {path: path.read_bytes() for path in Run.open("run").path.iterdir() if path.is_file()}
    assert {path.name for path in after if after[path] != before[path]} <= {"LOCK"}


def test_a_new_run_goes_on_from_a_checkpoint_by_its_step_and_the_old_one_is_left_alone(capsys):
    train("small.yaml", "--run", "first")
    before = Run.open("first").metrics.path.read_bytes()
    train("first@3", "--run", "second", "--resume")
    assert weights("second", 6) == weights("first", 6)
    assert Run.open("second").facts["parent"]["step"] == 3
    assert Run.open("first").metrics.path.read_bytes() == before
    train("first@3", "--resume", code=Exit.USAGE)
    assert "never taken back in place" in capsys.readouterr().err


def test_weights_alone_start_a_run_of_its_own_on_other_text():
    train("small.yaml", "--run", "first")
    Path("other.txt").write_text("Something else to read, and a little more of it. " * 9, encoding="utf-8")
    words = ["data.sources=other.txt", "validation.sources=tiny", "rhythm.validate_at_start=true"]
    train("small.yaml", *words, "training.length.steps=1", "--from", "first@best", "--run", "tuned")
    train("small.yaml", *words, "training.length.steps=1", "--run", "fresh")
    start = {run: next(r["loss"] for r in log(run) if r["kind"] == "validation") for run in ("tuned", "fresh")}
    assert start["tuned"] < start["fresh"]
    assert Run.open("tuned").facts["parent"]["how"] == "weights"
    assert log("tuned")[1]["step"] == 1


def test_a_run_has_the_recipes_name_or_a_given_one_or_a_path(capsys):
    one = ["small.yaml", "training.length.steps=1", "rhythm.validate_every=0", "rhythm.sample_every=0"]
    train(*one)
    train(*one)
    train(*one, "--run", "elsewhere/mine")
    assert sorted(path.name for path in Path("runs").iterdir()) == ["small", "small-2"]
    assert Run.open("elsewhere/mine").checkpoint().parent == Path("elsewhere/mine/checkpoints")
    train(*one, "--run", "small", code=Exit.EXISTS)
    assert "--resume" in capsys.readouterr().err


def test_a_run_holds_its_logs_its_checkpoints_and_all_that_using_it_needs():
    train("small.yaml", "--run", "done")
    run = Path("runs/done")
    assert {path.name for path in run.iterdir()} >= {
        *("recipe.yaml", "config.json", "manifest.json", "metrics.jsonl", "samples.jsonl", "train.log"),
        *("tokenizer", "checkpoints", "run.json"),
    }
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-00000003", "step-00000006"]
    files = {path.name for path in (run / "checkpoints" / "step-00000006").iterdir()}
    assert files == {"model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json"}


def test_a_path_may_hold_an_at_sign():
    folder = Path("me@home")
    folder.mkdir()
    Path("small.yaml").rename(folder / "small.yaml")
    run = str(folder / "run")
    train(str(folder / "small.yaml"), "--run", run)
    train(run, "training.length.steps=6", "rhythm.keep=8", "--resume")
    assert setting(run, "rhythm.keep") == 8


def test_weights_alone_and_the_whole_state_are_not_both_taken_over(capsys):
    train("small.yaml", "--run", "first")
    train("first@3", "--run", "second", "--resume", "--from", "first", code=Exit.USAGE)
    assert "--from first" in capsys.readouterr().err
    assert [path.name for path in Path("runs").iterdir()] == ["first"]


def test_a_dry_run_prints_the_plan_and_touches_nothing(capsys):
    train("octo/base", "training.length={steps: 50}", "schedule.warmup={steps: 20}", "--dry-run")
    plan = capsys.readouterr().out
    assert "50,257" in plan
    assert "64 windows of 512 tokens" in plan
    assert "more than a fifth of the run" in plan
    assert not Path("runs").exists()


@pytest.mark.parametrize("word", ["model.vocab_size=16000", "optim.lr=fast", "model.num_heads=3", "rythm.keep=1"])
def test_a_recipe_that_cannot_be_is_refused_and_leaves_no_run(capsys, word):
    train("small.yaml", word, code=Exit.RECIPE)
    assert word.split("=")[0].split(".")[0] in capsys.readouterr().err
    assert not list(Path("runs").iterdir())


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Exit.DISK_FULL, "disk full"),
        (MemoryError(), Exit.MEMORY, "out of memory"),
        (KeyError("loss"), Exit.BUG, "failed"),
    ],
)
def test_a_run_that_failed_says_with_the_commands_own_exit_code_how_and_where(monkeypatch, error, code, status):
    def fail(*_args: object, **_options: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("lilliput.training.checkpoint.contents", fail)
        train("small.yaml", "--run", "failed", code=code)
    run = Run.open("failed")
    assert (run.state.exit["code"], run.state.exit["step"], ledger.status(run)) == (code, 3, status)
