import pytest
import torch
from pydantic import ValidationError
from tests.models.parity import assert_gradients_equal, assert_inverse, decoded, logits

from lilliput.models.llama import PRESETS, LlamaConfig, from_hub, to_hub
from lilliput.models.weights import build_model, counts, fill, outline
from lilliput.nn import kernels
from lilliput.nn.kernels import Kernels

VOCAB = 61
SHAPE = {"dim": 32, "num_layers": 3, "num_heads": 4, "num_kv_heads": 2, "ffn_dim": 56, "max_positions": 32}
VARIANTS = {
    "grouped": {},
    "biased": {"attention_bias": True, "norm_eps": 1e-3, "rope_theta": 500.0},
    "tied": {"tied": True, "num_kv_heads": 4},
    "windowed": {"window": 5},
}


@pytest.fixture(autouse=True, params=[None, 4], ids=["one mask", "blocks"])
def windows(request, monkeypatch):
    """Windows in the form for short texts, and in that for long ones."""
    monkeypatch.setattr(kernels, "_kernels", Kernels(window_block=request.param))


@pytest.fixture(scope="module", params=VARIANTS)
def pair(request):
    """transformers' model and ours with the same inflated weights, in float64."""
    transformers = pytest.importorskip("transformers")
    config = LlamaConfig(**SHAPE | VARIANTS[request.param])
    shared = {
        "vocab_size": VOCAB, "hidden_size": config.dim, "intermediate_size": config.ffn_dim,
        "num_hidden_layers": config.num_layers, "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads, "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_eps, "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default"},
        "tie_word_embeddings": config.tied, "initializer_range": 0.3, "attn_implementation": "eager",
    }  # fmt: skip
    torch.manual_seed(0)
    if config.window:  # the same decoder, with a window
        theirs = transformers.MistralForCausalLM(
            transformers.MistralConfig(**shared, sliding_window=config.window, head_dim=8)
        )
    else:
        theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**shared, attention_bias=config.attention_bias))
    theirs = theirs.double().eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.5)
            elif parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5)
    ours = build_model(config, VOCAB, seed=0).double()
    fill(ours, from_hub({name: p.detach() for name, p in theirs.named_parameters()}), "transformers")
    return theirs, ours


def draw(*shape):
    return torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(1))


def assert_near(found, expected):
    """Within 1e-6 of the spread: transformers norms and turns in float32 even in a float64 model."""
    error = found - expected
    assert error.abs().max() < 1e-6 * (expected.max() - expected.min())
    assert error.std() < 1e-6 * expected.std()


def test_logits_equal_those_of_transformers(pair):
    theirs, ours = pair
    tokens = draw(2, 24)
    expected = theirs(tokens).logits
    assert expected.std() > 1
    assert_near(logits(ours, tokens), expected)


def test_gradients_equal_those_of_transformers(pair):
    assert_gradients_equal(*pair, to_hub, *draw(2, 2, 24), relative=1e-5)


def test_cached_decoding_equals_transformers_without_a_cache(pair):
    theirs, ours = pair
    tokens = draw(2, 24)
    found, expected = decoded(ours, tokens, (9, 1, 1, 9, 1, 1, 1, 1)), theirs(tokens, use_cache=False).logits.detach()
    assert_near(found, expected)


def test_the_hubs_names_and_ours_are_inverse(pair):
    assert_inverse(pair[1], to_hub, from_hub)


def test_octo_base_counts_as_its_shape_says():
    # 12 layers of 768 x 768 x (1 + 1/4 + 1/4 + 1) and 3 x 768 x 3,072, two norms each and one last; 50,257 rows twice
    found = counts(outline(PRESETS["octo/base"].config, 50_257))
    layer = 768 * 768 * 5 // 2 + 3 * 768 * 3072 + 2 * 768
    assert (found.non_embedding, found.embedding) == (12 * layer + 768, 2 * 50_257 * 768)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"num_heads": 5}, r"num_heads \(5\) must divide dim \(32\)"),
        ({"num_heads": 32, "num_kv_heads": 1}, "odd width 1"),
        ({"num_kv_heads": 3}, r"num_kv_heads \(3\) must divide num_heads \(4\); it may be 1, 2, 4"),
    ],
)
def test_impossible_heads_are_refused_with_what_would_fit(changes, told):
    with pytest.raises(ValidationError, match=told):
        LlamaConfig(**SHAPE | changes)
