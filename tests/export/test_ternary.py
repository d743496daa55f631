import pytest
import torch

from lilliput.config.errors import Exit, LilliputError
from lilliput.export.ternary import decoding_speed, pack
from lilliput.models.hgrn_bit import HGRNBitConfig
from lilliput.models.hnet_bit import HNetBitConfig
from lilliput.models.modern import ModernConfig
from lilliput.models.weights import build_model
from lilliput.nn.bitlinear import BitLinear

CONFIGS = {
    "flat": HGRNBitConfig(dim=32, num_layers=2, short_conv=True, lower_bounds=True, max_positions=64),
    "levels": HNetBitConfig(dims=(16, 24), num_layers=((1, 0, 1), (1,)), max_positions=64),
}


def logits(model, tokens):
    return model.head(model(tokens).features)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_packed_model_gives_the_same_logits_to_the_bit(config):
    model, tokens = build_model(config, 61, seed=0).eval(), torch.arange(40)[None]
    with torch.no_grad():
        expected = logits(model, tokens)
        packed = pack(model)
        assert not any(isinstance(layer, BitLinear) for layer in packed.modules())
        assert torch.equal(logits(packed, tokens), expected)


def test_a_model_without_ternary_layers_is_refused():
    model = build_model(ModernConfig(dim=16, num_layers=1, num_heads=2, ffn_dim=16), 61, seed=0)
    with pytest.raises(LilliputError, match="`modern` model has no ternary layers") as error:
        pack(model)
    assert error.value.code is Exit.USAGE


def test_a_speed_is_of_the_tokens_that_were_decoded():
    found = decoding_speed(build_model(CONFIGS["flat"], 61, seed=0).eval(), tokens=16)
    assert found.tokens == 16 and found.per_second == pytest.approx(16 / found.seconds)
    assert decoding_speed(build_model(CONFIGS["flat"], 61, seed=0).eval(), tokens=500).tokens == 64 - 8
