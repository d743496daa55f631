import json

import pytest

from lilliput.cli import main
from lilliput.config.errors import Exit


def told(capsys, *words):
    code = main(list(words))
    return code, capsys.readouterr()


def test_every_preset_is_listed_with_its_counts(capsys):
    from lilliput.models import PRESETS

    code, out = told(capsys, "models", "list", "--json")
    assert code == 0
    found = {one["name"]: one["parameters"] for one in json.loads(out.out)}
    assert found.keys() == PRESETS.keys()
    assert all(each["total"] == each["embedding"] + each["non_embedding"] for each in found.values())
    _, table = told(capsys, "models", "list")
    assert [line.split()[0] for line in table.out.splitlines()[1:]] == list(PRESETS)
    row = next(line for line in table.out.splitlines() if line.startswith("gpt2/124m"))
    assert row.split()[2:] == ["124.4", "124.4", "39.4", "85.1", "50,257"]
    assert "in millions" in table.err


def test_the_list_of_presets_fits_a_terminal_of_80_columns(capsys):
    _, table = told(capsys, "models", "list")
    assert max(len(line) for line in table.out.splitlines()) <= 80


def test_a_models_counts_follow_its_changed_settings(capsys):
    _, plain = told(capsys, "models", "show", "octo/base", "--json")
    _, other = told(capsys, "models", "show", "octo/base", "model.tied=true", "--vocabulary", "16000", "--json")
    before, after = json.loads(plain.out), json.loads(other.out)
    assert after["parameters"]["non_embedding"] == before["parameters"]["non_embedding"]
    assert after["parameters"]["embedding"] == 16_000 * 768
    assert after["weight_bytes"]["float32"] == 4 * after["parameters"]["total"]


def test_a_models_settings_are_shown_as_a_recipe_writes_them(capsys):
    code, out = told(capsys, "models", "show", "modern/char")
    assert code == 0
    assert "  model.tied = true\n" in out.out
    assert "  model.max_positions = null\n" in out.out


@pytest.mark.parametrize(
    "words, code, cause",
    [
        (["lab/nan"], Exit.USAGE, "no preset lab/nan"),
        (["lab/nano", "model.num_head=4"], Exit.RECIPE, "model.num_head"),
        (["lab/nano", "model.num_heads=7"], Exit.RECIPE, "num_heads (7) must divide dim (160)"),
        (["lab/nano", "model.max_positions=null"], Exit.RECIPE, "max_positions"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(capsys, words, code, cause):
    found, out = told(capsys, "models", "show", *words)
    assert found == code
    assert cause in out.err
    assert out.out == ""
