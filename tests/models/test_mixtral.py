import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from tests.models.parity import assert_gradients_equal, assert_inverse, decoded, logits

from lilliput.models.llama import LlamaConfig
from lilliput.models.mixtral import MixtralConfig, from_hub, to_hub
from lilliput.models.weights import build_model, counts, fill, tensors
from lilliput.nn import kernels
from lilliput.nn.experts import Router, balance_loss, route, z_loss
from lilliput.nn.kernels import Kernels

GOLDEN = Path(__file__).parents[1] / "golden"
VOCAB = 61
SHAPE = {
    "dim": 32, "num_layers": 3, "num_heads": 4, "num_kv_heads": 2, "num_experts": 5, "ffn_dim": 24,
    "max_positions": 32, "window": 8,
}  # fmt: skip
OUR_NAMES = {
    "embedding": "embed.weight",
    "final_norm": "norm.weight",
    "attention.output": "attention.out.weight",
    "moe_norm": "feed_forward_norm.weight",
    "mlp_norm": "feed_forward_norm.weight",
    "router": "feed_forward.router.weight",
    "experts.gate_up": "feed_forward.gate_up.weight",
    "experts.down": "feed_forward.down.weight",
}


def draw(*shape):
    return torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(1))


def inflate(model):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(std=0.3)
    return model


def mixtral(transformers):
    config = MixtralConfig(**SHAPE, dense_layers=0, tied=False)
    return config, transformers.MixtralForCausalLM(
        transformers.MixtralConfig(**shared(config), num_local_experts=config.num_experts, head_dim=8)
    )


def dense_then_experts(transformers):
    config = MixtralConfig(**SHAPE, dense_layers=1, dense_ffn_dim=40)
    theirs = transformers.Qwen2MoeForCausalLM(
        transformers.Qwen2MoeConfig(
            **shared(config) | {"intermediate_size": 40},
            moe_intermediate_size=config.ffn_dim,
            num_experts=config.num_experts,
            mlp_only_layers=[0],
            norm_topk_prob=True,
            qkv_bias=False,
            shared_expert_intermediate_size=8,
            use_sliding_window=True,
            layer_types=["sliding_attention"] * config.num_layers,
        )
    )
    return config, theirs


def shared(config):
    return {
        "vocab_size": VOCAB, "hidden_size": config.dim, "intermediate_size": config.ffn_dim,
        "num_hidden_layers": config.num_layers, "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads, "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_eps, "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default"},
        "tie_word_embeddings": config.tied, "num_experts_per_tok": config.num_active_experts,
        "sliding_window": config.window, "attn_implementation": "eager",
    }  # fmt: skip


@pytest.fixture(scope="module", params=[mixtral, dense_then_experts], ids=lambda make: make.__name__)
def pair(request):
    """transformers' model and ours with the same inflated weights, in float64."""
    config, theirs = request.param(pytest.importorskip("transformers"))
    theirs.set_experts_implementation("eager")
    inflate(theirs.double().eval())
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "shared_expert" in name:
                parameter.zero_()
    ours = build_model(config, VOCAB, seed=0).double()
    fill(ours, from_hub(dict(named(theirs))), "transformers")
    return theirs, ours


def named(theirs, read=lambda parameter: parameter.detach()):
    return ((name, read(p)) for name, p in theirs.named_parameters() if "shared_expert" not in name)


def test_logits_equal_those_of_transformers(pair):
    theirs, ours = pair
    tokens = draw(2, 24)
    expected = theirs(tokens).logits
    assert expected.std() > 1
    torch.testing.assert_close(logits(ours, tokens), expected, rtol=0, atol=3e-5 * expected.std().item())


def test_gradients_equal_those_of_transformers(pair):
    assert_gradients_equal(*pair, to_hub, *draw(2, 2, 24), relative=1e-4)


def test_cached_decoding_equals_transformers_without_a_cache(pair):
    theirs, ours = pair
    tokens = draw(2, 24)
    found, expected = decoded(ours, tokens, (9, 1, 1, 9, 1, 1, 1, 1)), theirs(tokens, use_cache=False).logits.detach()
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-5 * expected.std().item())


def test_the_hubs_names_and_ours_are_inverse(pair):
    assert_inverse(pair[1], to_hub, from_hub)


class Golden:
    """A file of numbers that published code computed in float64, and our model with its weights."""

    def __init__(self, name):
        self.arrays = np.load(GOLDEN / f"{name}.npz")
        self.config = c = json.loads(str(self.arrays["config"]))
        self.model = build_model(
            MixtralConfig(
                dim=c["width"], num_layers=c["layers"], num_heads=c["heads"], num_kv_heads=c["kv_heads"],
                num_experts=c["experts"], num_active_experts=c["experts_per_token"],
                ffn_dim=c.get("expert_width", c.get("mlp_width")), dense_layers=c.get("dense_layers", 0),
                max_positions=32, norm_eps=c["norm_eps"], rope_theta=c["rope_theta"], window=c["window"],
                tied=c["tied"], balance_weight=1.0, z_weight=1.0,
            ),
            c["vocab"],
            seed=0,
        ).double().eval()  # fmt: skip
        fill(self.model, self.named("param/"), name)
        self.tokens = self["ids"].long()

    def __getitem__(self, name):
        array = torch.from_numpy(self.arrays[name])
        return array.double() if array.is_floating_point() else array

    def named(self, prefix):
        return {_ours(n.removeprefix(prefix)): self[n] for n in self.arrays if n.startswith(prefix)}

    def routings(self):
        """Each layer's routing, from the logits that its router gives."""
        seen = []
        hooks = [
            module.register_forward_hook(lambda *arguments: seen.append(arguments[2]))
            for module in self.model.modules()
            if isinstance(module, Router)
        ]
        self.model(self.tokens)
        for hook in hooks:
            hook.remove()
        return [route(found, self.config["experts_per_token"]) for found in seen]


def _ours(name):
    """`layers.0.attention.query` -> `blocks.0.attention.query.weight`."""
    if not name.startswith("layers."):
        return OUR_NAMES.get(name, f"{name}.weight")
    _, layer, part = name.split(".", maxsplit=2)
    return f"blocks.{layer}." + OUR_NAMES.get(part, f"{part.replace('mlp.', 'feed_forward.')}.weight")


@pytest.fixture(scope="module", params=["mixtral_window_moe", "dense_then_moe"])
def golden(request):
    return Golden(request.param)


def test_logits_equal_the_golden_ones(golden):
    torch.testing.assert_close(logits(golden.model, golden.tokens), golden["logits"], rtol=0, atol=1e-10)


def test_gradients_equal_the_golden_ones(golden):
    golden.model.zero_grad()
    (logits(golden.model, golden.tokens) * golden["cotangent"]).sum().backward()
    found = {name: p.grad for name, p in golden.model.named_parameters()}
    for name, gradient in golden.named("grad/").items():
        allowed = 1e-7 * gradient.abs().max().item()
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=allowed, msg=name)
    for name, norm in golden.config["grad_norms"].items():
        assert found[_ours(name)].norm().item() == pytest.approx(norm, rel=1e-7), name


def test_routers_and_their_losses_equal_the_golden_ones(golden):
    routings, config = golden.routings(), golden.config
    found = torch.stack([routing.logits.view(*golden.tokens.shape, -1) for routing in routings])
    torch.testing.assert_close(found, golden["router_logits"], rtol=0, atol=1e-5)
    balances = [balance_loss(routing).item() for routing in routings]
    expected = config.get("aux_per_layer_f_sums_to_1") or config["aux_per_moe_layer_f_sums_to_1"]
    assert balances == pytest.approx(expected, abs=1e-10)
    aux = golden.model(golden.tokens).aux
    assert aux["balance"].item() == pytest.approx(np.mean(expected), abs=1e-10)
    if "z_loss_per_layer" in config:
        assert [z_loss(routing).item() for routing in routings] == pytest.approx(config["z_loss_per_layer"], abs=1e-9)
        assert aux["router_z"].item() == pytest.approx(np.mean(config["z_loss_per_layer"]), abs=1e-9)


def test_top_experts_and_loads_equal_the_golden_ones():
    golden = Golden("mixtral_window_moe")
    routings = golden.routings()
    chosen = torch.stack([routing.chosen.view(*golden.tokens.shape, -1) for routing in routings])
    assert torch.equal(chosen, golden["top_experts"].long())
    monitors = golden.model(golden.tokens).monitors
    found = [[monitors[f"experts.{layer}.load.{expert}"].item() for expert in range(5)] for layer in range(3)]
    np.testing.assert_allclose(found, golden.arrays["fraction_of_assignments_sum_k"] / 2, atol=1e-12)


def test_steps_equal_the_golden_ones():
    golden = Golden("mixtral_window_moe")
    state = golden.model.new_state(batch=1, length=golden.tokens.shape[1])
    with torch.no_grad():
        steps = [logits(golden.model, token, state=state) for token in golden.tokens[:1].split(1, dim=1)]
    torch.testing.assert_close(torch.cat(steps, dim=1)[0], golden["step_logits_row0"], rtol=0, atol=1e-5)


def test_float32_and_grouped_products_come_near_the_golden_logits(golden, monkeypatch):
    monkeypatch.setattr(kernels, "_kernels", Kernels(experts="grouped"))
    model = build_model(golden.model.config, golden.config["vocab"], seed=0)
    fill(model, {name: tensor.float() for name, tensor in tensors(golden.model)}, "golden")
    found = logits(model, golden.tokens).double()
    torch.testing.assert_close(found, golden["logits"], rtol=0, atol=5e-5 * golden.config["logit_std"])


def test_the_order_of_the_experts_does_not_matter():
    model = inflate(build_model(MixtralConfig(**SHAPE), VOCAB, seed=0)).double()
    tokens, order = draw(2, 20), [2, 4, 0, 1, 3]
    before = logits(model, tokens)
    with torch.no_grad():
        for block in model.blocks:
            for parameter in block.feed_forward.parameters():
                parameter.copy_(parameter[order])
    torch.testing.assert_close(logits(model, tokens), before, rtol=0, atol=1e-10)


def test_a_router_that_always_picks_one_expert_makes_the_dense_model():
    config = MixtralConfig(**SHAPE | {"num_active_experts": 1}, tied=False)
    mixed = inflate(build_model(config, VOCAB, seed=0)).double()
    same = {name: value for name, value in SHAPE.items() if name != "num_experts"}
    dense = build_model(LlamaConfig(**same), VOCAB, seed=0).double()
    found = dict(tensors(mixed))
    for layer in range(config.num_layers):
        part = f"blocks.{layer}.feed_forward."
        found.pop(f"{part}router.weight")
        gate_up, down = (found.pop(f"{part}{name}.weight")[3] for name in ("gate_up", "down"))
        found |= {f"{part}gate.weight": gate_up[:24], f"{part}up.weight": gate_up[24:], f"{part}down.weight": down}
    fill(dense, found, "mixtral")
    for block in mixed.blocks:
        picks = F.one_hot(torch.tensor(3), config.num_experts) * 1e3
        block.feed_forward.router.register_forward_hook(lambda module, inputs, output, picks=picks: output + picks)
    tokens = draw(2, 20)
    torch.testing.assert_close(logits(mixed, tokens), logits(dense, tokens), rtol=0, atol=1e-10)


def test_a_token_passes_through_its_own_experts_alone():
    config = MixtralConfig(**SHAPE, dense_layers=1)
    found = counts(build_model(config, VOCAB, seed=0))
    assert found.total - found.active == 2 * 3 * (3 * 32 * 24)  # layers, idle experts, three matrices


def test_one_layer_in_four_is_dense_unless_the_settings_say_otherwise():
    firsts = [MixtralConfig(**SHAPE | {"num_layers": layers}).first_routed for layers in (3, 4, 12, 14)]
    assert firsts == [0, 1, 3, 3]
    assert MixtralConfig(**SHAPE, dense_layers=0).first_routed == 0


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"num_heads": 5}, r"num_heads \(5\) must divide dim \(32\)"),
        ({"num_kv_heads": 3}, r"num_kv_heads \(3\) must divide num_heads \(4\); it may be 1, 2, 4"),
        ({"num_active_experts": 6}, r"num_active_experts \(6\) must be at most num_experts \(5\); it may be 1 to 5"),
        ({"dense_layers": 4}, r"dense_layers \(4\) must be at most num_layers \(3\); it may be 0 to 3"),
    ],
)
def test_impossible_shapes_are_refused_with_what_would_fit(changes, told):
    with pytest.raises(ValidationError, match=told):
        MixtralConfig(**SHAPE | changes)
