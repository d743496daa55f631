import pytest
import torch

from lilliput.config.load import load
from lilliput.models import PRESETS
from lilliput.models.presets import Shape, summary, trees
from lilliput.models.weights import counts, outline

STATED = {
    "lab/nano": {"total": 9.9e6},
    "lab/small": {"total": 51.2e6},
    "lab/medium": {"total": 124.4e6},
    "simplified/flat": {"total": 25.5e6},
    "simplified/hnet1": {"total": 34.5e6},
    "simplified/hnet2": {"total": 80.5e6},
    "simplified/hnet2_large": {"total": 307e6},
    "bookcorpus/micro": {"total": 77e6, "active": 49.7e6},
    "bookcorpus/light": {"total": 334e6, "active": 149.7e6},
    "bookcorpus/standard": {"total": 780e6, "active": 251e6},
    "tardbot/dense_25m": {"total": 25e6},
    "tardbot/dense_40m": {"total": 40e6},
    "tardbot/dense_65m": {"total": 65e6},
    "tardbot/dense_75m": {"total": 75e6},
    "tardbot/dense_175m": {"total": 175e6},
    "tardbot/mac_nano": {"total": 177e6},
    "tardbot/mac_mini": {"total": 231e6},
    "tardbot/mac_base": {"total": 323e6},
    "tardbot/mac_plus": {"total": 380e6},
    "tardbot/expert_75m": {"total": 500e6},
    "tardbot/expert_100m": {"total": 576e6},
}
"""Parameters that a preset's name or its guide's table states."""
GUIDES = {
    "tardbot/mac_nano": 180e6,
    "tardbot/mac_mini": 230e6,
    "tardbot/mac_base": 320e6,
    "tardbot/mac_plus": 380e6,
    "tardbot/expert_75m": 480e6,
    "simplified/flat": 25e6,
    "simplified/hnet1": 35e6,
    "simplified/hnet2": 80e6,
    "gpt2/124m": 124e6,
    "modern/10m": 10e6,
    "modern/30m": 30e6,
    "modern/125m": 125e6,
}
"""The round numbers of names and of the guides' own tables, where they are other ones."""


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_in_a_recipe_is_the_settings_it_names(name):
    shape = load(Shape, {"model": {"preset": name}}, presets={"model": trees()})
    assert shape.model == PRESETS[name].config


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_without_storage_and_its_counts_add_up(name):
    model = outline(PRESETS[name].config, PRESETS[name].nominal_vocab)
    assert {parameter.device for parameter in model.parameters()} == {torch.device("meta")}
    found = counts(model)
    assert found.total == found.embedding + found.non_embedding
    assert 0 < found.active <= found.total
    assert model.flops_per_token(512) > 0


@pytest.mark.parametrize(("name", "stated"), [item for item in STATED.items() if item[0] in PRESETS])
def test_a_preset_has_the_size_that_its_name_or_its_guide_states(name, stated):
    found = summary(name).counts
    for key, value in stated.items():
        assert getattr(found, key) == pytest.approx(value, rel=0.05), key


@pytest.mark.parametrize(("name", "stated"), [item for item in GUIDES.items() if item[0] in PRESETS])
def test_a_preset_is_near_the_round_number_of_its_name(name, stated):
    assert summary(name).counts.total == pytest.approx(stated, rel=0.05)


def test_changes_are_a_recipes_words():
    deeper = summary("modern/char", ["model.num_layers=5"])
    assert deeper.counts.total - summary("modern/char").counts.total == 4 * 128**2 + 2 * 128 * 496
    other = summary("lab/nano", ['model={"family":"llama","dim":32,"num_layers":1,"num_heads":2,"ffn_dim":8}'])
    assert other.family == "llama"
