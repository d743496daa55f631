import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lilliput.models.hgrn_bit import PRESETS, HGRNBitConfig
from lilliput.models.weights import build_model, counts, fill, outline
from lilliput.nn.recurrence import Course

GOLDEN = Path(__file__).parents[1] / "golden"
SHAPE = {"dim": 32, "num_layers": 3, "ffn_dim": 48, "max_positions": 32}
# the published code's names -> ours
PARTS = {
    "embedding": "embed.weight",
    "final_norm": "norm.weight",
    "mixer_norm": "mixer_norm.weight",
    "mlp_norm": "feed_forward_norm.weight",
}


def renamed(name):
    if name in PARTS:
        return PARTS[name]
    words = name.replace("layers.", "blocks.").replace("mlp.", "feed_forward.")
    first, _, last = words.rpartition(".")
    return f"{first}.{PARTS.get(last, last)}" if first else words


class Case:
    """A golden file and our model with its weights."""

    def __init__(self, name, **changes):
        self.arrays = np.load(GOLDEN / f"{name}.npz")
        self.facts = json.loads(str(self.arrays["config"]))
        self.config = HGRNBitConfig(**SHAPE | changes)
        self.ids = self["ids"].long()

    def __getitem__(self, name):
        return torch.from_numpy(self.arrays[name])

    def model(self, dtype):
        model = build_model(self.config, self.facts["vocab"], seed=0)
        given = [name.removeprefix("param/") for name in self.arrays.files if name.startswith("param/")]
        fill(model, {renamed(name): self[f"param/{name}"] for name in given}, "the golden file")
        return model.to(dtype).eval()

    def assert_near(self, found, name, quanta=3e-5):
        expected = self[name].double()
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=quanta * max(1, expected.std().item()))


CASES = {
    "plain": Case("hgrn_bit_model"),
    "token by token": Case("hgrn_bit_model", attn_mode="fused_recurrent"),
    "lower bounds": Case("hgrn_bit_model_lower_bounds", lower_bounds=True),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def logits(model, tokens, **rest):
    return model.head(model(tokens, **rest).features)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_and_every_block_equal_the_published_code(case, dtype):
    model, outputs = case.model(dtype), []
    for block in model.blocks[:-1]:
        block.register_forward_hook(lambda _, given, found: outputs.append(found))
    out = model(case.ids)
    case.assert_near(torch.stack(outputs), "block_outputs")
    case.assert_near(out.features, "last_hidden_after_norm")
    case.assert_near(model.head(out.features), "logits")


def test_single_steps_and_final_states_equal_the_published_code(case):
    model = case.model(torch.float32)
    state = model.new_state(batch=2, length=17)
    with torch.no_grad():
        steps = [logits(model, token, state=state) for token in case.ids.split(1, dim=1)]
    case.assert_near(torch.cat(steps, dim=1), "step_logits")
    case.assert_near(torch.stack(state.hidden), "final_states")


def test_padding_on_the_left_leaves_the_published_logits(case):
    mask = case["left_pad_mask"]
    found = logits(case.model(torch.float32), case.ids, documents=torch.where(mask, 0, -1))
    assert not mask.all()
    expected = case["logits_left_padded"]
    torch.testing.assert_close(found[mask], expected[mask], rtol=0, atol=3e-5 * expected.std().item())


def test_gradients_equal_the_published_code(case):
    model = case.model(torch.float32)
    (logits(model, case.ids) * case["cotangent"]).sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    stored = [name for name in case.arrays.files if name.startswith("grad/")]
    assert len(stored) > 15
    for name in stored:
        expected = case[name]
        found = gradients[renamed(name.removeprefix("grad/"))]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * expected.abs().max().item(), msg=name)
    assert {renamed(name) for name in case.facts["grad_norms"]} == set(gradients)
    for name, norm in case.facts["grad_norms"].items():
        assert gradients[renamed(name)].norm().item() == pytest.approx(norm, rel=1e-4)


def test_the_first_layer_has_no_floor_and_each_next_one_a_higher_one():
    model = CASES["lower bounds"].model(torch.float32)
    first, second, third = model._floors()
    assert (first == 0).all() and (second > 0).all() and (third > second).all() and (third < 1).all()


def test_floors_are_as_wide_as_the_state():
    config = HGRNBitConfig(dim=8, num_layers=2, expand_ratio=3, lower_bounds=True)
    assert build_model(config, 16, seed=0).lower_bounds.shape == (2, 24)


def test_heads_only_group_the_state():
    one, four = (HGRNBitConfig(dim=16, num_layers=1, num_heads=heads) for heads in (1, 4))
    tokens = torch.arange(8)[None]
    assert torch.equal(*(logits(build_model(config, 16, seed=0), tokens) for config in (one, four)))


def test_training_logs_gates_and_ternary_weights_and_evaluation_does_not():
    model = build_model(HGRNBitConfig(dim=16, num_layers=2), 16, seed=0)
    found = model(torch.arange(8)[None]).monitors
    assert set(found) == {"forget.0", "forget.1", "ternary.minus", "ternary.zero", "ternary.plus", "ternary.scale"}
    again = model(torch.arange(8)[None]).monitors
    assert sum(again[f"ternary.{name}"].item() for name in ("minus", "zero", "plus")) == pytest.approx(1)
    # of normal weights |w| < mean|w| / 2 are 31 %
    assert again["ternary.zero"].item() == pytest.approx(0.31, abs=0.08)
    assert 0 < again["forget.0"].item() < 1
    assert not any(value.requires_grad for value in again.values())
    assert model.eval()(torch.arange(8)[None]).monitors == {}


def test_the_mean_gate_is_that_of_the_gates(monkeypatch):
    model = build_model(HGRNBitConfig(dim=16, num_layers=1), 16, seed=0)
    seen, scan = [], Course.scan
    monkeypatch.setattr(Course, "scan", lambda self, *given: seen.append(given[1]) or scan(self, *given))
    documents = torch.tensor([[0] * 5 + [-1] * 3])
    found = model(torch.arange(8)[None], documents=documents).monitors["forget.0"]
    torch.testing.assert_close(found, seen[0][:, :5].mean().detach())


def test_presets_have_the_sizes_the_guide_tells():
    found = {name: counts(outline(preset.config, 256)).total for name, preset in PRESETS.items()}
    assert found["simplified/flat"] == pytest.approx(25.5e6, rel=0.05)
    assert found["simplified/flat_small"] < 5e6 and 60e6 < found["simplified/flat_large"] < 100e6


def test_the_two_thirds_rule_gives_matmulfreellms_size():
    config = HGRNBitConfig(dim=512, num_layers=6, ffn_rule="swiglu")
    assert config.shape.ffn_dim == 1536
    assert counts(outline(config, 256)).total == pytest.approx(20.7e6, rel=0.01)


def test_heads_that_do_not_divide_the_state_are_refused_with_what_would_fit():
    with pytest.raises(
        ValidationError, match=r"num_heads \(3\) must divide expand_ratio x dim \(64\); it may be 1, 2, 4, 8"
    ):
        HGRNBitConfig(dim=32, num_layers=1, expand_ratio=2, num_heads=3)
