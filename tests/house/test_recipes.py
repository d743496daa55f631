import json

import pytest

from lilliput.config.load import dump
from lilliput.stages.recipe import names, read_recipe, recipe_from

NAMES = names()


def test_recipes_are_packaged():
    assert "tour" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_packaged_recipe_can_be_run_and_its_dump_is_a_recipe_again(name: str):
    settings = read_recipe(name)
    assert recipe_from(json.loads(json.dumps(dump(settings))), origin=name) == settings
