"""Runs: made once, found by name, refused where something else lies, removed where nothing came of them."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import durable
from lilliput.runs.run import Run, State, default_name, resolve, runs_root
from lilliput.runs.sealed import seal


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def begun(word=None, **more):
    run = Run.begin(word, **more)
    if run.is_new:
        run.write_recipe("stage: pretrain\n")
        run.write_config({"seed": 1})
        run.write_manifest()
    run.started()
    return run


def save(run, step, **manifest):
    return run.commit(step, lambda folder: {"state.json": durable.write_new(folder / "state.json", b"{}")}, manifest)


def refused(code, act, *arguments, **more):
    with pytest.raises(LilliputError) as caught:
        act(*arguments, **more)
    assert caught.value.code is code
    return caught.value


def test_a_run_holds_what_made_it(root):
    run = begun("first")
    assert run.path == root / "first" and run.recipe.read_text() == "stage: pretrain\n"
    facts = json.loads(run.manifest.read_text())
    assert facts["format"] == 2 and facts["name"] == "first" and len(facts["run"]) == 16
    assert {"commit", "versions", "machine", "parent", "created"} <= set(facts)
    assert facts["versions"]["numpy"] and facts["versions"]["python"]


def test_default_names_count_up_past_what_is_taken(root):
    first = begun(default="lab-verdict")
    first.lock.release()
    second, third = begun(default="lab-verdict"), begun(default="lab-verdict")
    assert [run.name for run in (first, second, third)] == ["lab-verdict", "lab-verdict-2", "lab-verdict-3"]


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        ("lab/verdict", "lab-verdict"),
        ("tour", "tour"),
        ("./mine/my text.yaml", "my-text"),
        ("/a/b.c.json", "b.c"),
        ("../..", "run"),
        ("zażółć/x", "zażółć-x"),
    ],
)
def test_the_default_name_is_the_recipes_word(recipe, name):
    assert default_name(recipe) == name


def test_an_existing_run_needs_resume(root):
    first = begun("a")
    identity = first.id
    first.lock.release()
    assert refused(Exit.EXISTS, Run.begin, "a").action.startswith("go on with it by `--resume`")
    again = Run.begin("a", resume=True)
    assert not again.is_new and again.id == identity


def test_resuming_a_name_without_a_run_starts_one():
    assert Run.begin("a", resume=True).is_new


def test_a_running_run_is_locked_whatever_is_asked():
    held = begun("a")
    for resume in (False, True):
        error = refused(Exit.LOCKED, Run.begin, "a", resume=resume)
        assert "process" in error.cause
    held.lock.release()
    Run.begin("a", resume=True)


def test_a_refused_new_run_leaves_nothing_and_its_name_is_free(root):
    run = Run.begin("a")
    run.write_recipe("nonsense")
    run.abandon()
    assert not any(root.iterdir())
    assert Run.begin("a").is_new


def test_a_refused_new_run_is_let_go_before_it_is_removed_where_an_open_file_forbids_that(root, monkeypatch):
    run, held = Run.begin("a"), []
    monkeypatch.setattr(durable, "remove_tree", lambda path: held.append(run.lock.is_held))
    monkeypatch.setattr("sys.platform", "win32")
    run.abandon()
    assert held == [False]


def test_a_run_with_a_manifest_is_never_abandoned(root):
    begun("a").lock.release()
    run = Run.begin("a", resume=True)
    run.abandon()
    assert run.manifest.exists()
    Run.begin("a", resume=True)


def test_what_a_kill_left_before_the_manifest_is_taken_over(root):
    run = Run.begin("a")
    run.write_recipe("half")
    (run.path / ".tmp-manifest.json-1-abcd-0").write_bytes(b"{")
    run.lock.release()
    again = begun("a")
    assert {path.name for path in again.path.iterdir() if path.name.startswith(".")} == set()


@pytest.mark.parametrize("resume", [False, True])
def test_a_directory_that_is_no_run_is_refused_and_untouched(root, resume):
    (root / "mine").mkdir(parents=True)
    (root / "mine" / "thesis.tex").write_text("words")
    (root / "file").write_text("words")
    for word in ("mine", "file"):
        assert "is not a run" in refused(Exit.EXISTS, Run.begin, word, resume=resume).cause
    assert [path.name for path in (root / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("word", ["", "a\nb", "a\x1b[31m", "-rf", "a b", "a*", "a@best", "x" * 101, "a:b"])
def test_names_that_trick_shells_terminals_or_paths_are_refused(root, word):
    refused(Exit.USAGE, Run.begin, word)
    assert not root.exists()


def test_a_word_with_a_separator_is_a_path(tmp_path):
    assert begun(str(tmp_path / "else" / "where")).path == tmp_path / "else" / "where"
    assert Run.open(tmp_path / "else" / "where").name == "where"


def test_an_unknown_run_names_those_that_exist():
    begun("lab-verdict")
    error = refused(Exit.MISSING, Run.open, "lab-verdct")
    assert "`lab-verdct`" in error.cause and "lab-verdict" in error.action


def test_a_checkpoint_is_found_by_run_step_best_and_path():
    run = begun("a")
    first, second = save(run, 500), save(run, 1000)
    run.update(best={"step": 500, "value": 1.5, "set": "validation"})
    for word, path in {
        "a": second,
        "a@latest": second,
        "a@500": first,
        "a@00500": first,
        "a@best": first,
        str(run.path): second,
        f"{run.path}@best": first,
        str(first): first,
    }.items():
        found, checkpoint = resolve(word)
        assert checkpoint == path and found is not None and found.path == run.path


def test_a_checkpoint_that_is_not_there_is_an_error_with_those_that_are():
    run = begun("a")
    assert "no checkpoint yet" in refused(Exit.MISSING, resolve, "a").cause
    save(run, 500)
    assert "500" in refused(Exit.MISSING, resolve, "a@501").action
    refused(Exit.MISSING, resolve, "a@best")
    refused(Exit.USAGE, resolve, "a@newest")
    refused(Exit.MISSING, resolve, "b@500")


def test_a_damaged_checkpoint_is_refused_by_name_and_passed_over_by_latest():
    run = begun("a")
    first, second = save(run, 1), save(run, 2)
    (second / "state.json").write_bytes(b"")
    assert resolve("a@latest")[1] == first
    refused(Exit.CONTENT, resolve, "a@2")
    refused(Exit.CONTENT, resolve, str(second))
    assert second.exists()


def test_a_checkpoint_outside_any_run_has_none(tmp_path):
    path = save(begun("a"), 1)
    path.rename(tmp_path / path.name)
    assert resolve(tmp_path / path.name) == (None, tmp_path / path.name)


def test_a_lost_state_is_rebuilt_from_the_checkpoints():
    run = begun("a")
    best = {"step": 1, "value": 2.0, "set": "validation"}
    run.update(pinned=(1,))
    save(run, 1, best=best)
    run.update(best=best)
    save(run, 2)
    before = run.state
    (run.path / "run.json").unlink()
    assert run.state == before == State(best, (1,), None)


def written(run):
    """What each of the run's own files says, through whoever reads it."""
    again = Run(run.path)
    return {"config.json": again.read_config, "manifest.json": lambda: again.facts, "run.json": lambda: again.state}


@pytest.mark.promise("R3")
@pytest.mark.parametrize("name", ["config.json", "manifest.json", "run.json"])
@pytest.mark.parametrize("share", [0.1, pytest.param(1, marks=pytest.mark.slow)])
def test_a_flipped_bit_in_a_file_of_the_run_is_refused_by_name_with_what_helps(root, figure, name, share):
    run = begun("first")
    run.write_config({"seed": 1, "optim": {"lr": 3e-4, "kind": "adamw"}, "data": {"sources": ["a", "\u00e9"]}})
    run.ended(0, 7)
    path = run.path / name
    sound, expected = path.read_bytes(), written(run)[name]()
    bits = range(8 * len(sound))
    drawn = random.Random(name).sample(bits, round(share * len(bits)))
    refusals = 0
    for bit in drawn:
        flipped = bytearray(sound)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            found = written(run)[name]()
        except LilliputError as error:
            refusals += 1
            assert error.code in (Exit.CONTENT, Exit.UNAVAILABLE) and name in error.cause
            assert "\n" not in error.cause + error.action and len(error.action) > 10
        else:
            assert found == expected  # as in 3E-4 for 3e-4
    assert refusals >= 0.99 * len(drawn)
    figure(f"{name}: {len(drawn):,} flips, {refusals:,} refused, the others say the same in another way")


@pytest.mark.promise("R3")
def test_a_file_of_the_run_without_its_hash_is_refused_but_for_a_run_of_before_there_were_any(root):
    run = begun("first")
    files = {name: json.loads((run.path / name).read_bytes()) for name in ("config.json", "manifest.json", "run.json")}
    for name, tree in files.items():
        del tree["sha256"]
        sound = (run.path / name).read_bytes()
        (run.path / name).write_text(json.dumps(tree))
        refused(Exit.CONTENT, written(run)[name])
        (run.path / name).write_bytes(sound)
    for name, tree in files.items():
        (run.path / name).write_text(json.dumps(tree | ({"format": 1} if "format" in tree else {})))
    for read in written(run).values():
        read()
    Run(run.path).update(pinned=(3,))
    assert Run(run.path).state.pinned == (3,)


def test_the_best_and_the_pinned_survive_retention():
    run = begun("a")
    for step in range(1, 6):
        save(run, step)
    run.update(best={"step": 1, "value": 2.0, "set": "validation"}, pinned=(2,))
    assert run.retain(1) == [3, 4]


def test_a_newer_run_format_is_refused():
    run = begun("a")
    run.manifest.write_bytes(seal(json.loads(run.manifest.read_text()) | {"format": 3}))
    refused(Exit.UNAVAILABLE, lambda: Run.open("a").facts)


def test_finding_and_locking_a_run_loads_neither_torch_nor_pydantic_nor_numpy():
    code = "import sys, lilliput.runs.run; print(*{'torch', 'numpy', 'pydantic', 'psutil'} & set(sys.modules))"
    source = str(Path(__file__).parents[2] / "src")
    found = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": source}, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "\n")


def test_runs_live_where_the_environment_says(monkeypatch):
    monkeypatch.delenv("LILLIPUT_RUNS")
    assert runs_root() == Path("runs")
