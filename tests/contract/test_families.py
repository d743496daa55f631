"""What every model family promises: one named in `ModelConfig` needs a line in SMALL and passes all of this."""

import math
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lilliput.config.errors import LilliputError
from lilliput.models import ModelConfig
from lilliput.models.contract import LanguageModel
from lilliput.models.weights import build_model, counts, fill, outline, tensors
from lilliput.nn import kernels
from lilliput.nn.kernels import Kernels
from lilliput.nn.loss import token_nats
from lilliput.nn.packed import packed
from lilliput.training.memory import checkpoint_activations

VOCAB = 31
SMALL: dict[str, dict[str, Any]] = {
    "gpt2": {"dim": 32, "num_layers": 2, "num_heads": 4, "max_positions": 64},
    "hgrn_bit": {"dim": 32, "num_layers": 2, "hidden_ratio": 2, "max_positions": 64},
    "hnet_bit": {"dims": (32, 48), "num_layers": ((1, 0, 1), (1,)), "hidden_ratio": 2, "max_positions": 64},
    "gpt_oss": {
        "dim": 32,
        "num_layers": 2,
        "num_heads": 4,
        "num_kv_heads": 2,
        "ffn_dim": 16,
        "num_experts": 4,
        "window": 8,
        "max_positions": 64,
    },
    "llama": {"dim": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "ffn_dim": 48, "max_positions": 64},
    "mixtral": {
        "dim": 32,
        "num_layers": 2,
        "num_heads": 4,
        "num_kv_heads": 2,
        "num_experts": 4,
        "ffn_dim": 24,
        "max_positions": 64,
    },
    "modern": {"dim": 32, "num_layers": 2, "num_heads": 4, "ffn_dim": 64, "max_positions": 64},
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "gpt2": {"bias": False, "qkv_bias": False, "tied": False, "activation": "gelu", "ffn_dim": 48},
    "hgrn_bit": {"expand_ratio": 2, "num_heads": 4, "short_conv": True, "lower_bounds": True, "ffn_dim": 48},
    "hnet_bit": {
        "dims": (32, 32, 48),
        "num_layers": ((1, 0, 1), (1, 0, 1), (1,)),
        "expand_ratio": 2,
        "num_heads": 4,
        "short_conv": True,
        "ffn_dim": 48,
        "chunk_size": (1.5, 3.0),
        "lr_scales": (2.0, 1.5, 1.0),
    },
    "gpt_oss": {"tied": True, "window": 5, "head_dim": 4, "num_active_experts": 3, "yarn_factor": 4.0},
    "llama": {"attention_bias": True, "tied": True, "window": 5, "norm_eps": 1e-5},
    "mixtral": {
        "num_layers": 2,
        "dense_layers": 1,
        "dense_ffn_dim": 40,
        "window": 5,
        "num_active_experts": 1,
        "tied": False,
        "z_weight": 0.001,
    },
    "modern": {"tied": False, "rope_theta": 500.0, "token_shift": True},
}
"""Changes with which each family keeps its promises too."""
ROUTED = ("mixtral", "gpt_oss", "hnet_bit")
"""Families that gather tokens before their products, whose last bits depend on the number of rows."""
MEASURED = ("hnet_bit",)
"""Families whose shapes, and so whose graph, depend on the text."""
TERNARY = ("hgrn_bit", "hnet_bit")
"""Families of ternary layers: rounding a weight may turn its code, so full precision starts from rounded weights."""


def products_of_attention(q: Any, k: Any, v: Any, *_: Any, out_shape: Any, **rest: Any) -> int:
    return 2 * math.prod(q[:3]) * k[2] * (q[3] + v[3])


UNCOUNTED = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: products_of_attention}
"""Operations that torch's counter of floating-point operations does not know."""


def family_name(kind: type) -> str:
    return get_args(get_args(kind.__annotations__["family"])[0])[0]


KINDS = {family_name(kind): kind for kind in get_args(get_args(ModelConfig)[0])}
CONFIGS = {name: kind(**SMALL[name]) for name, kind in KINDS.items()} | {
    f"{name}, otherwise": KINDS[name](**SMALL[name] | changes) for name, changes in OTHERWISE.items()
}
pytestmark = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


@pytest.fixture
def model(config):
    return awake(untrained(config))


def untrained(config) -> LanguageModel:
    return build_model(config, VOCAB, seed=0)


def awake(model: LanguageModel) -> LanguageModel:
    """Draw at random what starts at zero or one, so that no block is switched off; ready to evaluate."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, tensor in tensors(model):
            if tensor.unique().numel() == 1:
                tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.2)
    return model.eval()


def within(tolerance: float, model: LanguageModel) -> float:
    """Of fp32, the order of whose additions may turn a code of 8 bits in a ternary model; of fp64 as it is."""
    return max(tolerance, 1e-3) if model.config.family in TERNARY and tolerance > 1e-9 else tolerance


def draw(*shape: int) -> torch.Tensor:
    return torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(2))


def logits(model, tokens, **rest):
    return model.head(model(tokens, **rest).features)


def loss(model, tokens):
    out = model(tokens[:, :-1])
    targets = tokens[:, 1:]
    return token_nats(model.head, out.features, targets, torch.ones_like(targets, dtype=torch.bool)).mean()


def test_a_later_token_never_changes_an_earlier_prediction(config, model):
    tokens = draw(2, 40)
    changed = tokens.clone()
    changed[:, 25] = (changed[:, 25] + 1) % VOCAB
    is_routed = config.family in ROUTED
    model = model.double() if is_routed else model
    before, after = logits(model, tokens), logits(model, changed)
    torch.testing.assert_close(after[:, :25], before[:, :25], rtol=0, atol=1e-12 if is_routed else 0)
    assert not torch.equal(before[:, 25:], after[:, 25:])


def test_an_untrained_model_knows_nothing(config):
    assert loss(untrained(config).eval(), draw(4, 33)).item() == pytest.approx(math.log(VOCAB), abs=0.15)


def test_every_parameter_learns(model):
    loss(model, draw(2, 33)).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_it_memorises_one_batch(config):
    model, tokens = untrained(config), draw(2, 17)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        nats = loss(model, tokens)
        nats.backward()
        optimizer.step()
    assert nats.item() < 0.1


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_decoding_step_by_step_equals_one_whole_forward(model, dtype, tolerance):
    model, tokens = model.to(dtype), draw(2, 24)
    whole = logits(model, tokens)
    state = model.new_state(batch=2, length=24)
    with torch.no_grad():
        parts = [logits(model, part, state=state) for part in tokens.split([10, 1, 1, 5, 1, 1, 1, 1, 3], dim=1)]
    atol = within(tolerance, model) * whole.std().item()
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=atol)


@torch.no_grad()
def test_packed_weights_decode_as_plain_ones(config, model):
    tokens, found, twin = draw(2, 12), [], packed(model)
    assert (twin is model) == (config.family == "hgrn_bit")  # all its matrices are ternary
    for reader in (model, twin):
        state = model.new_state(batch=2, length=12)
        parts = [logits(model, tokens[:, :3], state=state)]  # a prompt is read by the model itself
        parts += [logits(reader, part, state=state) for part in tokens[:, 3:].split(1, dim=1)]
        found.append(torch.cat(parts, dim=1))
    plain, by_packed = found
    atol = within(1e-6, model) * (plain.max() - plain.min()).item()
    torch.testing.assert_close(by_packed, plain, rtol=0, atol=atol)


def test_training_goes_on_after_writing_in_a_pause(model):
    def gradient():
        torch.manual_seed(3)
        return torch.autograd.grad(loss(model.train(), tokens), model.head.weight)[0]

    tokens = draw(2, 12)
    with torch.random.fork_rng():
        expected = gradient()
        with torch.inference_mode():
            state = model.eval().new_state(batch=2, length=4)
            logits(model, tokens[:, :3], state=state)
            logits(packed(model), tokens[:, 3:4], state=state)
        assert torch.equal(gradient(), expected)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_prompts_of_unequal_length_decode_as_each_would_alone(model, dtype, tolerance):
    model, steps, lengths = model.to(dtype), draw(3, 6), (9, 4, 1)
    prompts = [draw(1, n) for n in lengths]
    padded, documents = torch.zeros(3, 9, dtype=torch.long), torch.full((3, 9), -1)
    for row, prompt in enumerate(prompts):
        padded[row, 9 - prompt.shape[1] :], documents[row, 9 - prompt.shape[1] :] = prompt, 0
    state = model.new_state(batch=3, length=15)
    with torch.no_grad():
        last = logits(model, padded, documents=documents, state=state)[:, -1:]
        decoded = torch.cat([last, *(logits(model, token, state=state) for token in steps.split(1, dim=1))], dim=1)
    for row, prompt in enumerate(prompts):
        alone = logits(model, torch.cat([prompt, steps[row : row + 1]], dim=1))[:, -7:]
        atol = within(tolerance, model) * alone.std().item()
        torch.testing.assert_close(decoded[row : row + 1], alone, rtol=0, atol=atol)


def test_a_document_read_in_parts_is_one_document_whatever_its_number(model):
    tokens, documents = draw(2, 12), torch.full((2, 12), 3)
    whole, state = logits(model, tokens), model.new_state(batch=2, length=12)
    with torch.no_grad():
        parts = [(tokens[:, :5], documents[:, :5]), (tokens[:, 5:7], None), (tokens[:, 7:], documents[:, 7:])]
        found = [logits(model, part, documents=theirs, state=state) for part, theirs in parts]
    torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=0, atol=1e-5 * whole.std().item())


@pytest.mark.parametrize("padded", [False, True])
def test_chosen_rows_of_a_state_decode_on_alone(model, padded):
    tokens, rows = draw(3, 8), torch.tensor([2, 0, 2])
    documents = torch.zeros(3, 7, dtype=torch.int32)
    documents[1, :3] = -1 if padded else 0
    with torch.no_grad():
        state = model.new_state(batch=3, length=10)
        logits(model, tokens[:, :7], documents=documents, state=state)
        chosen = state.select(rows)
        expected = logits(model, tokens[:, 7:], state=state)[rows]
        found = logits(model, tokens[rows, 7:], state=chosen)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_packed_documents_equal_each_alone(model):
    model = model.double()
    first, second, third = draw(1, 5), draw(1, 11), draw(1, 4)
    packed = torch.cat([first, second, third, draw(1, 3)], dim=1)
    documents = torch.tensor([[0] * 5 + [1] * 11 + [2] * 4 + [-1] * 3], dtype=torch.int32)
    together = logits(model, packed, documents=documents)
    assert together.isfinite().all()
    for start, alone in ((0, first), (5, second), (16, third)):
        here = together[:, start : start + alone.shape[1]]
        torch.testing.assert_close(here, logits(model, alone), rtol=0, atol=1e-12)


def test_gradients_of_packed_documents_equal_those_of_each_alone(model):
    model = model.double()
    first, second = draw(1, 6), draw(1, 9)
    documents = torch.tensor([[0] * 6 + [1] * 9 + [-1] * 2])
    logits(model, torch.cat([first, second, draw(1, 2)], dim=1), documents=documents)[:, :15].square().sum().backward()
    packed = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    (logits(model, first).square().sum() + logits(model, second).square().sum()).backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(packed[name], p.grad, rtol=0, atol=1e-12 * (1 + p.grad.abs().max().item()))


def test_the_same_seed_builds_the_same_model_and_leaves_other_draws_alone(config):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two, other = (build_model(config, VOCAB, seed) for seed in (7, 7, 8))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(tensors(one), tensors(two), strict=True))
    assert not torch.equal(one.head.weight, other.head.weight) or not torch.equal(one.embed.weight, other.embed.weight)


def test_loaded_weights_predict_the_same(config, model):
    stored = {name: tensor.numpy().copy() for name, tensor in tensors(model)}
    loaded = build_model(model.config, VOCAB, seed=9).eval()
    fill(loaded, stored, "checkpoint")
    assert torch.equal(logits(loaded, draw(2, 12)), logits(model, draw(2, 12)))


def test_counted_operations_equal_the_formula(model, monkeypatch):
    monkeypatch.setattr(kernels, "_kernels", Kernels(experts="sliced"))  # groups are one operation, uncounted
    tokens, counter = draw(2, 32), FlopCounterMode(display=False, custom_mapping=UNCOUNTED)
    with sdpa_kernel(SDPBackend.MATH), counter, torch.no_grad():
        logits(model, tokens)
    assert model.flops_per_token(32) == pytest.approx(counter.get_total_flops() / tokens.numel(), rel=1e-9)


def test_an_outline_counts_what_the_model_holds(model):
    found = counts(outline(model.config, VOCAB))
    assert found == counts(model)
    assert found.total == sum(tensor.numel() for _, tensor in tensors(model)) == found.embedding + found.non_embedding
    assert found.embedding >= VOCAB * model.config.dim


def test_half_precision_stays_near_full_precision(model):
    tokens, documents = draw(2, 20), torch.tensor([[0] * 12 + [1] * 8, [-1] * 4 + [0] * 16])
    if model.config.family in TERNARY:
        model = model.bfloat16().float()
    full = logits(model, tokens, documents=documents)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = logits(model, tokens, documents=documents).float()
    half = logits(model.bfloat16(), tokens, documents=documents).float()
    for rounded in (mixed, half):
        assert rounded.isfinite().all()
        assert (rounded - full).std() < 0.05 * full.std()


def test_activations_computed_again_give_the_same_gradients(config):
    has_dropout = hasattr(config, "dropout")
    config, tokens = replace(config, dropout=0.3) if has_dropout else config, draw(2, 20)
    gradients = []
    for again in (False, True):
        model = awake(untrained(config)).train()
        if again:
            checkpoint_activations(model)
        torch.manual_seed(4)
        loss(model, tokens).backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(torch.equal(kept, recomputed) for kept, recomputed in zip(*gradients, strict=True))


def test_it_compiles_to_one_graph(config, model):
    if config.family in MEASURED:
        pytest.skip("how long its inner sequences are is known only once the text has been read")
    tokens, documents = draw(2, 12), torch.tensor([[0] * 12, [0] * 5 + [1] * 7], dtype=torch.int32)
    torch.compiler.reset()  # one function, and more families than it may be compiled for
    compiled = torch.compile(logits, backend="eager", fullgraph=True)
    expected = logits(model, tokens, documents=documents)
    torch.testing.assert_close(compiled(model, tokens, documents=documents), expected, rtol=0, atol=1e-5)


def test_a_sequence_longer_than_the_model_holds_is_refused(model):
    with pytest.raises(LilliputError, match="max_positions"):
        model(draw(1, 65))
    with pytest.raises(LilliputError, match="max_positions"):
        model.new_state(batch=1, length=65)
