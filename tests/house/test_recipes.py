import json

import pytest

from lilliput.config.load import dump

recipe = pytest.importorskip("lilliput.stages.recipe")
NAMES = recipe.names()


def test_recipes_are_packaged():
    assert "tour" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_packaged_recipe_can_be_run_and_its_dump_is_a_recipe_again(name: str):
    settings = recipe.read_recipe(name)
    assert recipe.recipe_from(json.loads(json.dumps(dump(settings))), origin=name) == settings
