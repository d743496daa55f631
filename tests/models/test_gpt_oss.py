import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tests.models.parity import assert_gradients_equal, assert_inverse, decoded, logits

from lilliput.models.gpt_oss import GPTOSSConfig, from_hub, to_hub
from lilliput.models.weights import build_model, fill
from lilliput.nn import kernels
from lilliput.nn.kernels import Kernels

VOCAB = 61
SHAPE = {"dim": 32, "num_layers": 4, "num_heads": 4, "num_kv_heads": 2, "ffn_dim": 16, "num_experts": 6, "window": 8}
VARIANTS = {
    "plain": {},
    "yarn": {"yarn_factor": 32.0, "head_dim": 16},
    "short yarn, tied": {"yarn_factor": 4.0, "yarn_original_length": 12, "tied": True, "num_active_experts": 3},
    "other clamps": {"swiglu_limit": 0.5, "swiglu_alpha": 1.0, "rope_theta": 500.0, "norm_eps": 1e-3},
}


@pytest.fixture(autouse=True, params=[None, 4], ids=["one mask", "blocks"])
def windows(request, monkeypatch):
    """Windows in the form for short texts, and in that for long ones."""
    monkeypatch.setattr(kernels, "_kernels", Kernels(window_block=request.param))


def draw(*shape):
    return torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(1))


def transformers_settings(config):
    rope = {"rope_theta": config.rope_theta, "rope_type": "default"}
    if config.yarn_factor > 1:
        rope |= {
            "rope_type": "yarn", "factor": config.yarn_factor, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
            "original_max_position_embeddings": config.yarn_original_length,
        }  # fmt: skip
    return {
        "vocab_size": VOCAB, "hidden_size": config.dim, "intermediate_size": config.ffn_dim, "rope_parameters": rope,
        "num_hidden_layers": config.num_layers, "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads, "head_dim": config.head_dim or config.dim // config.num_heads,
        "num_local_experts": config.num_experts, "num_experts_per_tok": config.num_active_experts,
        "sliding_window": config.window, "rms_norm_eps": config.norm_eps, "tie_word_embeddings": config.tied,
        "swiglu_limit": config.swiglu_limit, "swiglu_alpha": config.swiglu_alpha, "initializer_range": 0.3,
        "attn_implementation": "eager",
    }  # fmt: skip


@pytest.fixture(scope="module", params=VARIANTS)
def pair(request):
    """transformers' model and ours with the same inflated weights, in float64."""
    transformers = pytest.importorskip("transformers")
    config = GPTOSSConfig(**SHAPE | VARIANTS[request.param])
    torch.manual_seed(0)
    theirs = transformers.GptOssForCausalLM(transformers.GptOssConfig(**transformers_settings(config)))
    theirs = theirs.double().eval()
    theirs.set_experts_implementation("eager")  # the others have no float64
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name.endswith(("bias", "sinks")):
                parameter.normal_(std=0.5)
            elif parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5)
    ours = build_model(config, VOCAB, seed=0).double()
    fill(ours, from_hub({name: p.detach() for name, p in theirs.named_parameters()}), "transformers")
    return theirs, ours


def assert_near(found, expected):
    """Within 1e-4: transformers norms, turns and routes in float32 even in a float64 model."""
    assert expected.std() > 1
    assert (found - expected).abs().max() < 1e-4
    assert (found - expected).std() < 1e-5 * expected.std()


def test_logits_equal_those_of_transformers(pair):
    theirs, ours = pair
    assert_near(logits(ours, draw(2, 24)), theirs(draw(2, 24)).logits)


def test_gradients_equal_those_of_transformers(pair):
    assert_gradients_equal(*pair, to_hub, *draw(2, 2, 24), relative=1e-5)


def test_cached_decoding_equals_transformers_without_a_cache(pair):
    theirs, ours = pair
    tokens = draw(2, 24)
    found, expected = decoded(ours, tokens, (9, 1, 1, 9, 1, 1, 1, 1)), theirs(tokens, use_cache=False).logits.detach()
    assert_near(found, expected)


def test_the_hubs_names_and_ours_are_inverse(pair):
    assert_inverse(pair[1], to_hub, from_hub)


OPENAI = {
    "attention_norm": "attention_norm.weight",
    "attention.output.weight": "attention.out.weight",
    "attention.output.bias": "attention.out.bias",
    "moe_norm": "feed_forward_norm.weight",
    "embedding": "embed.weight",
    "final_norm": "norm.weight",
    "head": "head.weight",
}


def from_openai(stored, prefix, config):
    """OpenAI's names and layout: query, key and value are rows of one matrix."""
    found = {}
    for name in (key.removeprefix(prefix) for key in stored.files if key.startswith(prefix)):
        tensor, (layer, part) = torch.from_numpy(stored[prefix + name]).double(), ("", name)
        if name.startswith("layers."):
            _, number, part = name.split(".", maxsplit=2)
            layer = f"blocks.{number}."
        if part.startswith("attention.qkv"):
            held = config.num_kv_heads * config.head_dim
            rows = tensor.split([config.num_heads * config.head_dim, held, held])
            for name, piece in zip(("query", "key", "value"), rows, strict=True):
                found[f"{layer}attention.{name}.{part.rsplit('.', maxsplit=1)[1]}"] = piece
        else:
            part = part.replace("experts.", "feed_forward.").replace("router.", "feed_forward.router.")
            found[layer + OPENAI.get(part, part)] = tensor
    return found


@pytest.mark.parametrize("case", ["yarn", "plain"])
def test_all_equals_the_published_model_in_float64(case):
    stored = np.load(Path(__file__).parents[1] / "golden" / "gpt_oss_model.npz")
    settings = json.loads(str(stored["config"]))
    factor = settings["cases"][case]["rope_scale"]
    config = GPTOSSConfig(**SHAPE, head_dim=16, yarn_factor=factor)
    model = build_model(config, settings["vocab"], seed=0).double()
    fill(model, from_openai(stored, "param/", config), "the golden arrays")
    routed = []
    for block in model.blocks:
        block.feed_forward.router.register_forward_hook(lambda _module, _inputs, output: routed.append(output))
    tokens = torch.from_numpy(stored["ids"]).long()
    found = logits(model, tokens)
    torch.testing.assert_close(found, torch.from_numpy(stored[f"{case}/logits"]), rtol=0, atol=1e-10)
    router = torch.stack(routed).view(4, 2, 40, 6)
    torch.testing.assert_close(router.float(), torch.from_numpy(stored[f"{case}/router_logits"]), rtol=0, atol=1e-5)
    assert torch.equal(router.topk(2).indices, torch.from_numpy(stored[f"{case}/top_experts"]).long())
    (found * torch.from_numpy(stored["cotangent"])).sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    for name, expected in from_openai(stored, f"{case}/grad/", config).items():
        assert (gradients[name] - expected).abs().max() < 1e-6 * expected.abs().max(), name
    for name, norm in settings["cases"][case]["grad_norms"].items():
        if "qkv" not in name:
            layer, part = (f"blocks.{name.split('.')[1]}.", name.split(".", 2)[2]) if "layers" in name else ("", name)
            part = part.replace("experts.", "feed_forward.").replace("router.", "feed_forward.router.")
            assert gradients[layer + OPENAI.get(part, part)].norm().item() == pytest.approx(norm, rel=1e-9), name
    state = model.new_state(batch=2, length=40)
    with torch.no_grad():
        parts = [logits(model, part, state=state) for part in tokens.split([17, 1, 1, 15, 1, 1, 1, 1, 1, 1], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), found, rtol=0, atol=1e-10)


def test_padding_counts_in_no_auxiliary_loss():
    model = build_model(GPTOSSConfig(**SHAPE), VOCAB, seed=0)
    tokens, documents = draw(2, 20), torch.zeros(2, 20, dtype=torch.int32)
    documents[:, 13:] = -1
    short, padded = model(tokens[:, :13]), model(tokens, documents=documents)
    assert short.aux.keys() == {"balance", "router_z"}
    for name in short.aux:
        torch.testing.assert_close(padded.aux[name], short.aux[name], rtol=1e-5, atol=0)
    assert padded.monitors.keys() == short.monitors.keys()


def test_a_sink_and_a_routers_bias_start_small_and_other_biases_at_zero():
    model = build_model(GPTOSSConfig(**SHAPE | {"num_layers": 24, "num_experts": 32}), VOCAB, seed=0)
    for ends, spread in (("sinks", 0.02), ("router.bias", 0.02), ("down.weight", 0.02), ("query.bias", 0)):
        drawn = torch.cat([p.flatten() for name, p in model.named_parameters() if name.endswith(ends)])
        assert drawn.std().item() == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"num_active_experts": 7}, r"num_active_experts \(7\) must be at most num_experts \(6\)"),
        ({"num_heads": 5}, r"num_heads \(5\) must divide dim \(32\)"),
        ({"num_heads": 5, "head_dim": 8}, r"num_kv_heads \(2\) must divide num_heads \(5\)"),
        ({"head_dim": 7}, "multiple of 2"),
    ],
)
def test_impossible_shapes_are_refused_with_what_would_fit(changes, told):
    with pytest.raises(ValidationError, match=told):
        GPTOSSConfig(**SHAPE | changes)
