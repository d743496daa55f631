import pytest

from lilliput.config.load import load
from lilliput.models import PRESETS
from lilliput.models.presets import Shape, summary, trees


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_in_a_recipe_is_the_settings_it_names(name):
    shape = load(Shape, {"model": {"preset": name}}, presets={"model": trees()})
    assert shape.model == PRESETS[name].config


def test_changes_are_a_recipes_words():
    deeper = summary("modern/char", ["model.num_layers=5"])
    assert deeper.counts.total - summary("modern/char").counts.total == 4 * 128**2 + 2 * 128 * 496
    other = summary("lab/nano", ['model={"family":"llama","dim":32,"num_layers":1,"num_heads":2,"ffn_dim":8}'])
    assert other.family == "llama"
