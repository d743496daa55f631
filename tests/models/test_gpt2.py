import pytest
import torch
from pydantic import ValidationError
from tests.models.parity import assert_gradients_equal, assert_inverse, decoded, logits

from lilliput.config.errors import LilliputError
from lilliput.models.gpt2 import PRESETS, GPT2Config, from_hub, to_hub
from lilliput.models.weights import build_model, counts, fill, outline, tensors

VOCAB = 61


def gpt2(**changes):
    shape = {"dim": 24, "num_layers": 3, "num_heads": 4, "max_positions": 16} | changes
    return build_model(GPT2Config(**shape), VOCAB, seed=0)


@pytest.fixture(scope="module", params=["gelu_tanh", "gelu"])
def pair(request):
    """transformers' model and ours with the same inflated weights, in float64."""
    transformers = pytest.importorskip("transformers")
    names = {"gelu_tanh": "gelu_new", "gelu": "gelu"}
    config = transformers.GPT2Config(
        vocab_size=VOCAB, n_positions=16, n_embd=24, n_layer=3, n_head=4, n_inner=80,
        activation_function=names[request.param], initializer_range=0.4,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, attn_implementation="eager",
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = transformers.GPT2LMHeadModel(config).double().eval()
    inflate(theirs)
    ours = gpt2(ffn_dim=80, activation=request.param).double()
    fill(ours, from_hub({name: p.detach() for name, p in theirs.named_parameters()}), "transformers")
    return theirs, ours


def inflate(model):
    """Weights at which an omitted term shows: norms in 0.5 to 1.5, biases of deviation 0.5."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.5)
            elif parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5)


def draw(*shape):
    return torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(1))


def test_logits_equal_those_of_transformers(pair):
    theirs, ours = pair
    tokens = draw(2, 16)
    expected = theirs(tokens).logits
    assert expected.std() > 1
    torch.testing.assert_close(logits(ours, tokens), expected, rtol=0, atol=1e-10)


def test_gradients_equal_those_of_transformers(pair):
    assert_gradients_equal(*pair, to_hub, *draw(2, 2, 12), relative=1e-10)


def test_cached_decoding_equals_transformers_without_a_cache(pair):
    theirs, ours = pair
    tokens = draw(2, 16)
    found, expected = decoded(ours, tokens, (7, 1, 1, 4, 1, 1, 1)), theirs(tokens, use_cache=False).logits.detach()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_the_hubs_names_and_ours_are_inverse(pair):
    assert_inverse(pair[1], to_hub, from_hub)


@pytest.mark.parametrize("changes", [{"bias": False}, {"qkv_bias": False}, {"bias": False, "qkv_bias": False}])
def test_a_model_without_biases_leaves_as_one_whose_biases_are_zero(changes):
    bare, full = gpt2(**changes), gpt2()
    stored = to_hub(dict(tensors(bare)))
    assert stored.keys() == to_hub(dict(tensors(full))).keys()
    fill(full, from_hub(stored), "export")
    tokens = draw(1, 9)
    torch.testing.assert_close(logits(full, tokens), logits(bare, tokens))


def test_dropout_acts_in_training_only_and_draws_from_torchs_generator():
    model, tokens = gpt2(dropout=0.3), draw(2, 9)
    torch.manual_seed(1)
    first = logits(model, tokens)
    assert not torch.equal(logits(model, tokens), first)
    torch.manual_seed(1)
    assert torch.equal(logits(model, tokens), first)
    assert torch.equal(logits(model.eval(), tokens), logits(model, tokens))


@pytest.mark.parametrize("name, millions", [("lab/nano", 9.9), ("lab/small", 51.2), ("lab/medium", 124.4)])
def test_presets_have_the_size_they_are_known_by(name, millions):
    total = counts(outline(PRESETS[name].config, PRESETS[name].nominal_vocab)).total
    assert total / 1e6 == pytest.approx(millions, rel=0.01)


def test_gpt2_124m_counts_as_published():
    # 124,439,808 = transformers' GPT2LMHeadModel of `gpt2`; the tables are 50,257 and 1,024 rows of 768
    found = counts(outline(PRESETS["gpt2/124m"].config, 50_257))
    assert (found.total, found.embedding) == (124_439_808, (50_257 + 1_024) * 768)


def test_impossible_models_are_refused():
    with pytest.raises(ValidationError, match=r"num_heads \(7\) must divide dim \(24\)"):
        gpt2(num_heads=7)
    with pytest.raises(LilliputError, match="max_positions"):
        gpt2(max_positions=None)
