import shutil

import pytest
import torch

from lilliput.cli import main
from lilliput.config.errors import Exit, LilliputError
from lilliput.models.weights import tensors
from lilliput.nn.kernels import kernels
from lilliput.runs.damage import Damaged
from lilliput.stages.export import export_ternary
from lilliput.stages.opened import open_model

TERNARY = {"model": {"family": "hgrn_bit", "dim": 16, "num_layers": 1}}


def logits(model, tokens):
    with torch.no_grad():
        return model.head(model(tokens).features)


def test_an_export_holds_two_bits_per_weight_and_predicts_the_same(finished, tmp_path):
    finished(**TERNARY)
    before, trained, tokens = kernels(), open_model("small@1", "cpu").model, torch.arange(24)[None]
    found = export_ternary("small@1")
    assert kernels() is before
    assert found.path.name == "ternary-step-1" and found.path.parent.name == "exports"
    assert found.bytes < found.fp32_bytes / 1.5  # half of so small a model is its embedding
    assert found.speed.tokens == found.fp32_speed.tokens == 24 - 8
    moved = shutil.move(found.path, tmp_path / "elsewhere")
    opened = open_model(str(moved), "cpu")
    assert (opened.step, opened.tokenizer.size) == (1, 256)
    assert torch.equal(logits(opened.model, tokens), logits(trained, tokens))
    codes = [tensor for _, tensor in tensors(opened.model) if tensor.dtype == torch.uint8]
    weights = sum(p.numel() for name, p in trained.named_parameters() if p.ndim == 2) - trained.embed.weight.numel()
    assert sum(tensor.numel() for tensor in codes) == weights / 4


def test_an_export_is_not_written_twice_nor_read_when_damaged(finished):
    finished(**TERNARY)
    path = export_ternary("small").path
    with pytest.raises(LilliputError, match="ternary-step-2 exists") as error:
        export_ternary("small")
    assert error.value.code is Exit.EXISTS
    assert [left.name for left in path.parent.iterdir()] == [path.name]
    weights = path / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(Damaged):
        open_model(str(path), "cpu")


def test_the_command_tells_size_and_speed_and_the_folder_can_write_and_be_measured(finished, capsys):
    run = finished(**TERNARY)
    assert main(["export", "small", "--to", "ternary"]) == 0
    told = capsys.readouterr().out
    assert "MB in fp32" in told and "tokens per second" in told
    path = str(run.exports / "ternary-step-2")
    assert path in told
    assert main(["generate", path, "--max-tokens", "8", "--prompt", "On", "--json", "--device", "cpu"]) == 0
    assert '"tokens": 8' in capsys.readouterr().out
    assert main(["evaluate", path, "--ngrams", "", "--device", "cpu", "--max-batches", "1"]) == 0


def test_a_model_without_ternary_layers_is_refused_in_one_line(finished, capsys):
    finished()
    assert main(["export", "small"]) == Exit.USAGE
    told = capsys.readouterr().err
    assert "error: a `modern` model has no ternary layers to pack\nhint: " in told
    assert main(["export", "small", "--to", "stone"]) == Exit.USAGE
