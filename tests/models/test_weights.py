import pytest
import torch

from lilliput.config.errors import Exit, LilliputError
from lilliput.models.modern import ModernConfig
from lilliput.models.weights import build_model, fill, tensors
from lilliput.runs.tensors import read_tensors, write_tensors


def modern(**changes):
    shape = {"dim": 16, "num_layers": 1, "num_heads": 2, "ffn_dim": 32} | changes
    return build_model(ModernConfig(**shape), 13, seed=0)


def stored(model):
    return {name: tensor.clone() for name, tensor in tensors(model)}


def test_a_tied_head_is_stored_once():
    assert "head.weight" not in stored(modern())
    assert "head.weight" in stored(modern(tied=False))


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"num_layers": 2}, "holds unknown `blocks.1"),
        ({"tied": False}, "holds unknown `head.weight`"),
        ({"ffn_dim": 48}, r"`blocks.0.feed_forward.up.weight` has shape \(48, 16\), the model's is \(32, 16\)"),
    ],
)
def test_weights_of_another_model_are_refused_and_nothing_is_copied(changes, told):
    model = modern()
    before = stored(model)
    with pytest.raises(LilliputError, match=told) as refusal:
        fill(model, {name: tensor + 1 for name, tensor in stored(modern(**changes)).items()}, "run@best")
    assert refusal.value.code == Exit.CONTENT
    assert str(refusal.value).startswith("run@best")
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors(model))


def test_missing_weights_are_named():
    found = stored(modern())
    del found["embed.weight"]
    with pytest.raises(LilliputError, match=r"lacks `embed.weight`"):
        fill(modern(), found, "run@best")


@pytest.mark.parametrize("dtype, name", [(torch.float32, "F32"), (torch.bfloat16, "BF16")])
def test_a_tensor_file_fills_a_model_with_what_it_holds(tmp_path, dtype, name):
    rounded = {key: tensor.to(dtype) for key, tensor in stored(modern()).items()}
    write_tensors(
        tmp_path / "model.safetensors",
        [(key, name, tuple(t.shape), lambda t=t: t.view(torch.uint8).numpy().data) for key, t in rounded.items()],
    )
    model = build_model(modern().config, 13, seed=5)
    with read_tensors(tmp_path / "model.safetensors") as file:
        fill(model, file, "file")
    assert all(torch.equal(tensor, rounded[key].float()) for key, tensor in tensors(model))
