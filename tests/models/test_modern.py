import pytest
import torch
from pydantic import ValidationError

from lilliput.models.modern import PRESETS, ModernConfig
from lilliput.models.weights import build_model, counts, outline

SIZES = {"modern/char": (0.75e6, 0.81e6), "modern/10m": (9e6, 11e6), "modern/30m": (27e6, 33e6)}


@pytest.mark.parametrize("name", SIZES)
def test_presets_have_the_size_of_their_name(name):
    preset = PRESETS[name]
    low, high = SIZES[name]
    assert low < counts(outline(preset.config, preset.nominal_vocab)).total <= high


def test_an_untrained_model_is_its_embedding():
    model = build_model(ModernConfig(dim=16, num_layers=2, num_heads=2, ffn_dim=32), 13, seed=0)
    tokens = torch.randint(13, (2, 5))
    expected = torch.nn.functional.rms_norm(model.embed(tokens), (16,))
    torch.testing.assert_close(model(tokens).features, expected, rtol=1e-3, atol=1e-3)


def test_a_head_of_its_own_starts_at_zero_and_costs_an_embedding():
    shape = {"dim": 16, "num_layers": 1, "num_heads": 2, "ffn_dim": 32}
    tied, own = (build_model(ModernConfig(**shape, tied=tied), 13, seed=0) for tied in (True, False))
    assert counts(own).total - counts(tied).total == 13 * 16
    assert not own.head(own(torch.randint(13, (1, 4))).features).any()


@pytest.mark.parametrize("shape", [{"num_heads": 3}, {"num_heads": 16}, {"num_layers": 0}, {"dropout": 1.0}])
def test_impossible_shapes_are_refused_at_birth(shape):
    with pytest.raises(ValidationError):
        ModernConfig(**({"dim": 16, "num_layers": 1, "num_heads": 2, "ffn_dim": 32} | shape))


def test_dropout_acts_in_training_only_and_draws_from_torchs_generator():
    model = build_model(ModernConfig(dim=16, num_layers=1, num_heads=2, ffn_dim=32, dropout=0.5), 13, seed=0)
    torch.nn.init.normal_(model.blocks[0].attention.out.weight)
    tokens = torch.randint(13, (2, 9))
    torch.manual_seed(1)
    first = model(tokens).features
    assert not torch.equal(model(tokens).features, first)
    torch.manual_seed(1)
    assert torch.equal(model(tokens).features, first)
    assert torch.equal(model.eval()(tokens).features, model(tokens).features)
