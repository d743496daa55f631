import json
import re

import pytest

from lilliput.cli import main
from lilliput.config.errors import Exit
from lilliput.runs import durable
from lilliput.runs.run import Run


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path / "runs"))
    run = Run.begin("lab-verdict")
    durable.make_dir(run.tokenizer)
    durable.write_new(run.tokenizer / "tokenizer.json", b"{}")
    run.write_config({"seed": 1})
    run.write_manifest()
    run.metrics.write({"kind": "step", "step": 1, "loss": 2.5})
    run.commit(1, lambda folder: {"x": durable.write_new(folder / "x", b"content")})
    run.ended(0, 1)
    run.lock.release()
    return run


def lilliput(capsys, *words):
    code = main(["runs", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_list_shows_each_run_with_its_status(capsys):
    code, out, _ = lilliput(capsys, "list")
    assert code == 0
    assert out.split("\n")[1].split()[:4] == ["lab-verdict", "finished", "1", "2.5000"]
    (entry,) = json.loads(lilliput(capsys, "list", "--json")[1])
    assert (entry["name"], entry["status"], entry["loss"], entry["checkpoints"]) == (
        "lab-verdict",
        "finished",
        2.5,
        [1],
    )


def test_an_empty_list_is_no_error_and_says_where_it_looked(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path / "none"))
    assert lilliput(capsys, "list") == (0, "", f"no runs in {tmp_path / 'none'}\n")
    assert json.loads(lilliput(capsys, "list", "--json")[1]) == []


def test_one_run_is_shown_with_what_made_it(capsys, run):
    found = json.loads(lilliput(capsys, "show", "lab-verdict", "--json")[1])
    assert found["status"] == "finished" and found["exit"]["code"] == 0
    assert found["made"]["run"] == run.id and found["made"]["versions"]["python"]
    assert run.id in lilliput(capsys, "show", str(run.path))[1]


def test_a_run_is_shown_in_80_columns_but_for_words_that_are_longer(capsys, run):
    _, out, _ = lilliput(capsys, "show", "lab-verdict")
    assert "\n            " in out, "what made it takes several lines"
    assert all(len(row) <= 80 or len(row.split()) <= 2 for row in out.splitlines())


def test_times_are_dates_and_a_loss_has_four_decimals(capsys, run):
    _, out, _ = lilliput(capsys, "show", "lab-verdict")
    shown = dict(line.split(maxsplit=1) for line in out.replace("\n   ", " ").splitlines())
    assert shown["loss"] == "2.5000"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", shown["created"])
    assert shown["exit"].endswith(f"time {shown['created'][:10]} {shown['exit'][-5:]}")


def test_a_missing_run_is_an_error_that_names_those_there(capsys):
    code, out, err = lilliput(capsys, "show", "lab-verdit")
    assert (code, out) == (Exit.MISSING, "") and "lab-verdict" in err


def test_verifying_finds_a_changed_byte(capsys, run):
    assert lilliput(capsys, "verify", "lab-verdict")[0] == 0
    (run.checkpoints / "step-00000001" / "x").write_bytes(b"c0ntent")
    code, out, _ = lilliput(capsys, "verify", "lab-verdict")
    assert code == Exit.CONTENT and "differs from its hash" in out
    assert len(json.loads(lilliput(capsys, "verify", "lab-verdict", "--json")[1])["findings"]) == 1
