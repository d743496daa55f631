import json
from pathlib import Path

import pytest

from lilliput.cli import main
from lilliput.config.errors import Exit


def test_a_recipe_that_can_be_run_is_said_to_be_and_printed_whole(capsys: pytest.CaptureFixture[str]):
    assert main(["config", "check", "tour", "optim.lr=0.0125"]) == 0
    assert capsys.readouterr().out == "tour: this recipe can be run\n"
    assert main(["config", "check", "tour", "optim.lr=0.0125", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["optim"]["lr"] == 0.0125


def test_a_wrong_key_ends_with_its_code_the_nearest_key_and_a_hint(capsys: pytest.CaptureFixture[str]):
    assert main(["config", "check", "tour", "optim.lrr=1"]) == 64
    error = capsys.readouterr().err
    assert error.startswith("error: tour: optim.lrr: no such key") and "did you mean lr?" in error
    assert "\nhint: `lilliput config explain KEY`" in error


def test_a_recipe_of_ones_own_is_a_path_and_a_missing_one_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["config", "check", str(tmp_path / "none.yaml")]) == 66
    assert main(["config", "check", "tuor"]) == 66
    assert "tour" in capsys.readouterr().err


def test_a_key_is_explained_and_a_mistaken_one_named(capsys: pytest.CaptureFixture[str]):
    assert main(["config", "explain", "training.batch_size"]) == 0
    text = capsys.readouterr().out
    assert "training.batch_size\n  Sequences per update." in text and "may be: a whole number" in text
    assert main(["config", "explain", "batch_sise"]) == 2
    assert "did you mean training.batch_size?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("sample_every=3", "did you mean rhythm.sample_every?"),
        ("training.threads=100000", "<= 1024"),
        ("seed=9223372036854775808", "seed: 9223372036854775808 is not possible"),
    ],
)
def test_a_key_without_its_section_and_numbers_no_machine_takes_are_refused(word, said, capsys):
    assert main(["config", "check", "tour", word]) == Exit.RECIPE
    assert said in capsys.readouterr().err
