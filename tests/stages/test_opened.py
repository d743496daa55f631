import shutil

import pytest
import torch

from lilliput.config.errors import Exit, LilliputError
from lilliput.models.weights import build_model
from lilliput.stages.opened import open_model


def test_a_run_opens_with_the_weights_of_the_step_that_was_named(finished):
    run = finished()
    for word, step in [("small", 2), ("small@latest", 2), ("small@1", 1), (str(run.path), 2)]:
        opened = open_model(word, "cpu")
        assert (opened.step, opened.name) == (step, f"small@{step}")
        expected = build_model(opened.recipe.model, 256, seed=step)
        for found, wanted in zip(opened.model.parameters(), expected.parameters(), strict=True):
            assert torch.equal(found, wanted)
        assert not opened.model.training


def test_a_checkpoints_own_path_opens_it(finished):
    run = finished()
    assert open_model(str(run.checkpoint("1")), "cpu").step == 1


def test_the_models_positions_are_the_training_context(finished):
    finished()
    assert open_model("small", "cpu").model.config.max_positions == 24


def test_a_checkpoint_away_from_its_run_is_refused(finished, tmp_path):
    stray = tmp_path / "step-00000002"
    shutil.copytree(finished().checkpoint(), stray)
    with pytest.raises(LilliputError, match="lies in no run") as error:
        open_model(str(stray), "cpu")
    assert error.value.code is Exit.MISSING


@pytest.mark.parametrize(
    ("word", "device", "code"),
    [
        ("small@best", "cpu", Exit.MISSING),
        ("small@3", "cpu", Exit.MISSING),
        ("smal", "cpu", Exit.MISSING),
        ("small@new", "cpu", Exit.USAGE),
        ("small", "gpu", Exit.USAGE),
    ],
)
def test_what_is_not_there_is_named_with_its_code(finished, word, device, code):
    finished()
    with pytest.raises(LilliputError) as error:
        open_model(word, device)
    assert error.value.code is code


def test_a_damaged_checkpoint_is_refused(finished):
    path = finished().checkpoint("1") / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(LilliputError) as error:
        open_model("small@1", "cpu")
    assert error.value.code is Exit.CONTENT
