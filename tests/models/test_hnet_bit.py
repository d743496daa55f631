import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from lilliput.models.hnet_bit import PRESETS, HNetBitConfig
from lilliput.models.weights import build_model, counts, fill, outline
from lilliput.nn.hierarchy import Level
from lilliput.optim import AdamWConfig, build_optimizer
from lilliput.optim.groups import group_parameters
from lilliput.training.memory import checkpoint_activations

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = {"dims": (32, 48), "num_layers": ((1, 0, 1), (1,)), "hidden_ratio": 2}
GUIDE = {"dims": (24, 32, 48), "num_layers": ((3, 0, 3), (3, 0, 3), (6,))}
"""The guide's own example of three stages, at a sixteenth of its widths."""


def ours(name):
    """Our name of a parameter for that of the golden arrays."""
    if name == "embedding":
        return "embed.weight"
    if name.startswith("head"):
        return name
    stage, part = int(name[5]), name[7:]
    if part == "pad":
        return "level." + "inner." * (stage - 1) + "pad"
    for theirs, renamed in (
        ("main.", ""),
        ("layers.", "blocks."),
        ("final_norm", "norm.weight"),
        ("mixer_norm", "mixer_norm.weight"),
        ("mlp_norm", "feed_forward_norm.weight"),
        ("mlp.", "feed_forward."),
        ("router.query", "router.query.weight"),
        ("router.key", "router.key.weight"),
    ):
        part = part.replace(theirs, renamed)
    return "level." + "inner." * stage + part


class Golden:
    """jcv-dev's HNetBitForCausalLM on a CPU: the whole model in float64, for one eps of the ternary layers."""

    def __init__(self, stages, eps):
        with np.load(GOLDEN / f"hnet_bit_model_{stages}stage.npz") as stored:
            self.config = json.loads(str(stored["config"]))
            arrays = {name: torch.from_numpy(stored[name]) for name in stored.files if name != "config"}
        self.case = self.config["cases"][f"eps_{eps}"]
        self.weights = {ours(name[6:]): array for name, array in arrays.items() if name.startswith("param/")}
        self.arrays = {name.removeprefix(f"eps_{eps}/"): array for name, array in arrays.items()}
        self.ids = arrays["ids"].long()
        self.valid = torch.arange(self.ids.shape[1]) < arrays["lengths"][:, None]
        self.documents = torch.where(self.valid, 0, -1)
        self.settings = HNetBitConfig(
            dims=tuple(self.config["widths"]),
            num_layers=tuple(map(tuple, self.config["blocks"])),
            ffn_dim=self.config["mlp_width"],
            chunk_size=self.config["N"],
            ratio_weight=self.config["ratio_weight"],
            norm_eps=self.config["rms_eps"],
            bitlinear_eps=self.case["bitlinear_eps"],
        )

    def model(self, dtype=torch.float64):
        model = build_model(self.settings, self.config["vocab"], seed=0)
        fill(model, self.weights, "golden")
        return model.to(dtype)


@pytest.fixture(scope="module", params=[(1, "1e-6"), (1, "1e-8"), (2, "1e-6"), (2, "1e-8")], ids=str)
def golden(request):
    return Golden(*request.param)


def logits(model, ids, documents=None, state=None):
    return model.head(model(ids, documents=documents, state=state).features)


def cuts_of(model, ids, documents=None):
    return model.level(model.embed(ids), documents)[1]


def draw(*shape, vocab=64, seed=3):
    return torch.randint(vocab, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_logits_probabilities_and_boundaries_equal_the_reference(golden, dtype):
    model = golden.model(dtype)
    spread = golden.case["logit_std"]
    # arrays of eps 1e-8 are rounded to float32
    near = 3e-5 * spread if dtype == torch.float32 else 1e-10 if "1e-06" in str(golden.case["bitlinear_eps"]) else 1e-6
    found = logits(model, golden.ids, golden.documents)[golden.valid]
    torch.testing.assert_close(found.double(), golden.arrays["logits"][golden.valid].double(), rtol=0, atol=near)
    for stage, cut in enumerate(cuts_of(model, golden.ids, golden.documents)):
        here = golden.valid if stage == 0 else torch.ones_like(cut.boundary)
        valid = golden.arrays[f"stage{stage}/valid"]
        expected = golden.arrays[f"stage{stage}/probability"][valid].double()
        torch.testing.assert_close(cut.probability[here].double(), expected, rtol=0, atol=near)
        assert torch.equal(cut.boundary[here], golden.arrays[f"stage{stage}/boundary"][valid])


def test_losses_and_gradients_equal_the_reference(golden):
    model = golden.model()
    output = model(golden.ids, documents=golden.documents)
    counted = golden.valid[:, 1:]
    nats = F.cross_entropy(model.head(output.features)[:, :-1][counted], golden.ids[:, 1:][counted])
    ratios = [output.monitors[f"stage{stage}.ratio_loss"].item() for stage in range(len(golden.case["ratio_losses"]))]
    assert ratios == pytest.approx(golden.case["ratio_losses"], abs=1e-11)
    total = nats + output.aux["ratio"]
    assert total.item() == pytest.approx(golden.case["total"], abs=1e-9)
    total.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert golden.case["grad_norms"].keys() == {name for name in golden.case["grad_norms"] if ours(name) in gradients}
    assert len(golden.case["grad_norms"]) == len(gradients)
    for name, norm in golden.case["grad_norms"].items():
        assert gradients[ours(name)].norm().item() == pytest.approx(norm, rel=1e-7), name
    for name, array in golden.arrays.items():
        if name.startswith("grad/"):
            expected = array.double()
            atol = 1e-7 * expected.abs().max().item()
            torch.testing.assert_close(gradients[ours(name[5:])], expected, rtol=1e-6, atol=atol, msg=name)


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("sizes", [[7] + [1] * 19, [1] * 26, [3, 8, 15]])
def test_decoding_equals_the_reference(stages, sizes):
    golden = Golden(stages, "1e-6")
    model, ids = golden.model(), golden.ids[:1]
    state = model.new_state(batch=1, length=26)
    with torch.no_grad():
        found = torch.cat([logits(model, part, state=state) for part in ids.split(sizes, dim=1)], dim=1)
        torch.testing.assert_close(found, logits(model, ids), rtol=0, atol=1e-12)
    torch.testing.assert_close(found[0], golden.arrays["step_logits_row0"].double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_documents_in_calls_of_any_length_give_what_a_whole_forward_gives(seed):
    draws = torch.Generator().manual_seed(seed)
    shape = {"dims": (16, 16, 24), "num_layers": ((1, 0, 1), (1, 0, 1), (1,)), "hidden_ratio": 1, "short_conv": True}
    model, tokens = build_model(HNetBitConfig(**shape), 64, seed).double(), draw(4, 30, seed=seed)
    documents = (torch.rand(4, 30, generator=draws) < 0.1).long().cumsum(dim=1)
    documents[torch.arange(30) < torch.tensor([0, 3, 7, 0])[:, None]] = -1
    starts = sorted(set(torch.randint(8, 30, (5,), generator=draws).tolist()))
    sizes = [end - start for start, end in zip([0, *starts], [*starts, 30], strict=True)]
    state = model.new_state(batch=4, length=30)
    with torch.no_grad():
        parts = zip(tokens.split(sizes, dim=1), documents.split(sizes, dim=1), strict=True)
        found = torch.cat([model(part, documents=ids, state=state).features for part, ids in parts], dim=1)
        whole = model(tokens, documents=documents).features
    torch.testing.assert_close(found[documents >= 0], whole[documents >= 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("stages", [1, 2])
def test_padded_packed_and_single_rows_are_one(stages):
    golden = Golden(stages, "1e-6")
    model, lengths = golden.model(), golden.valid.sum(dim=1).tolist()
    padded = logits(model, golden.ids, golden.documents)[golden.valid]
    documents = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))[None]
    packed = logits(model, golden.ids[golden.valid][None], documents)[0]
    torch.testing.assert_close(packed, padded, rtol=0, atol=1e-12)
    alone = torch.cat([logits(model, golden.ids[row : row + 1, :n])[0] for row, n in enumerate(lengths)])
    torch.testing.assert_close(alone, padded, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        model(golden.ids, documents=golden.documents).aux["ratio"],
        model(golden.ids[golden.valid][None], documents=documents).aux["ratio"],
    )


def test_what_stands_at_padding_changes_nothing():
    golden = Golden(2, "1e-6")
    model, other = golden.model(), torch.where(golden.valid, golden.ids, (golden.ids + 7) % 64)
    found = [model(ids, documents=golden.documents) for ids in (golden.ids, other)]
    assert torch.equal(found[0].features[golden.valid], found[1].features[golden.valid])
    assert torch.equal(found[0].aux["ratio"], found[1].aux["ratio"])
    (found[1].features[golden.valid].square().sum() + found[1].aux["ratio"]).backward()
    assert model.embed.weight.grad[sorted(set(range(64)) - set(golden.ids[golden.valid].tolist()))].eq(0).all()


def test_cutting_at_every_token_leaves_a_finite_loss_of_the_chunk_size(monkeypatch):
    model = build_model(HNetBitConfig(**SMALL, chunk_size=6.0, ratio_weight=1.0), 31, seed=0)
    opposite = -torch.eye(32)  # of an item and the next, the cosine of one with itself turned round
    with torch.no_grad():
        model.level.router.key.weight.copy_(opposite)
        model.embed.weight.copy_(model.embed.weight[:1].expand(31, -1))  # every token the same
    output = model(draw(2, 20, vocab=31))
    assert model.level.rate == 1.0
    assert output.monitors["stage0.tokens_per_chunk"].item() == 1
    assert output.aux["ratio"].item() == pytest.approx(6.0, rel=1e-2)
    (output.features.sum() + output.aux["ratio"]).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_monitors_tell_what_was_cut():
    model = build_model(HNetBitConfig(**GUIDE), 31, seed=0).train()
    tokens = draw(2, 40, vocab=31)
    output, cuts = model(tokens), cuts_of(model, tokens)
    chunks = [int(cut.boundary.sum()) for cut in cuts]
    assert chunks[1] < chunks[0] < 80
    assert output.monitors["stage0.chunk_rate"].item() == pytest.approx(chunks[0] / 80)
    assert output.monitors["stage1.chunk_rate"].item() == pytest.approx(chunks[1] / chunks[0])
    assert output.monitors["stage1.tokens_per_chunk"].item() == pytest.approx(80 / chunks[1])
    assert 0 < output.monitors["stage2.forget"].item() < 1
    shares = sum(output.monitors[f"ternary.{kind}"].item() for kind in ("minus", "zero", "plus"))
    assert shares == pytest.approx(1)
    assert not any(value.requires_grad for value in output.monitors.values())


def test_the_guides_three_stages_train():
    model = build_model(HNetBitConfig(**GUIDE, lr_scales=(2.0, 1.5, 1.0)), 31, seed=0)
    optimizer, tokens, losses = torch.optim.AdamW(model.parameters(), lr=1e-2), draw(2, 25, vocab=31), []
    for _ in range(10):
        optimizer.zero_grad()
        output = model(tokens[:, :-1])
        loss = F.cross_entropy(model.head(output.features).flatten(0, 1), tokens[:, 1:].flatten())
        (loss + output.aux["ratio"]).backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("dtype, mixed", [(torch.float32, True), (torch.bfloat16, False)])
def test_it_trains_in_half_precision(dtype, mixed):
    model = build_model(HNetBitConfig(**SMALL, short_conv=True), 31, seed=0).train()
    optimizer, tokens, losses = build_optimizer(model, AdamWConfig(lr=1e-2), dtype), draw(2, 25, vocab=31), []
    documents = torch.tensor([[0] * 14 + [1] * 10, [0] * 20 + [-1] * 4])
    for _ in range(8):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            output = model(tokens[:, :-1], documents=documents)
            loss = F.cross_entropy(model.head(output.features).float()[documents >= 0], tokens[:, 1:][documents >= 0])
            (loss + output.aux["ratio"]).backward()
        optimizer.weights.collect()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_each_stage_has_its_learning_rate():
    model = outline(HNetBitConfig(**GUIDE, lr_scales=(2.0, 1.5, 1.0)), 31)
    scale_of = {name: group.scale for group in group_parameters(model, decay_embeddings=True) for name in group.names}
    assert scale_of["embed.weight"] == scale_of["head.weight"] == scale_of["level.router.query.weight"] == 2.0
    assert scale_of["level.decoder.blocks.0.mixer.input.weight"] == scale_of["level.residual.weight"] == 2.0
    assert scale_of["level.pad"] == scale_of["level.inner.encoder.norm.weight"] == 1.5
    assert scale_of["level.inner.router.key.weight"] == 1.5
    assert scale_of["level.inner.pad"] == scale_of["level.inner.inner.blocks.0.feed_forward.down.weight"] == 1.0
    assert outline(HNetBitConfig(**GUIDE), 31).lr_scales() == {}


def test_muon_turns_ternary_and_residual_matrices_but_no_router():
    model = outline(HNetBitConfig(**GUIDE), 31)
    hidden = {name for group in group_parameters(model, decay_embeddings=True) if group.hidden for name in group.names}
    assert {"level.inner.residual.weight", "level.encoder.blocks.0.mixer.gate.weight"} < hidden
    assert not any("router" in name for name in hidden)


def test_each_blocks_pass_is_made_again_where_activations_are_not_kept():
    model = build_model(HNetBitConfig(**GUIDE), 31, seed=0).train()
    passes = []
    for block in model.blocks:
        block.mixer.register_forward_hook(lambda module, *_: passes.append(id(module)))
    checkpoint_activations(model)
    model(draw(2, 20, vocab=31)).features.sum().backward()
    assert len(model.blocks) == 18
    assert sorted(passes) == sorted(2 * [id(block.mixer) for block in model.blocks])


def test_biases_norms_and_pads_do_not_decay():
    model = outline(HNetBitConfig(**GUIDE), 31)
    still = {
        name for group in group_parameters(model, decay_embeddings=True) if not group.decays for name in group.names
    }
    assert still == {name for name, _ in model.named_parameters() if "norm" in name or name.endswith(("bias", "pad"))}


def test_it_starts_as_the_settings_say():
    model = build_model(HNetBitConfig(dims=(64, 64, 96), num_layers=((1, 0, 2), (1, 0, 1), (3,))), 256, seed=0)
    assert model.embed.weight.std().item() == pytest.approx(1, abs=0.02)
    drawn = 2**-2.5 * (2 / (64 + 64)) ** 0.5  # of a mixer's projection from 64 to 64
    for level, adds in zip(model.levels(), (6, 10), strict=True):
        assert torch.equal(level.router.query.weight, torch.eye(64))
        assert not level.residual.weight.any()
        for stack in (level.encoder, level.decoder):
            for block in stack.blocks:
                assert block.mixer.input.weight.std().item() == pytest.approx(drawn, rel=0.05)
                assert block.mixer.output.weight.std().item() == pytest.approx(drawn / adds**0.5, rel=0.05)
                assert block.feed_forward.down.weight.std().item() == pytest.approx(0.02 / adds**0.5, rel=0.05)
    main = model.levels()[-1].inner
    assert not isinstance(main, Level)
    assert main.blocks[2].feed_forward.down.weight.std().item() == pytest.approx(0.02 / 16**0.5, rel=0.05)
    assert not model.levels()[-1].pad.any()
    assert model.levels()[0].pad is None


def test_a_model_not_yet_run_is_counted_at_the_rate_it_is_asked_for():
    config = HNetBitConfig(**SMALL, chunk_size=4.0)
    model = outline(config, 31)
    outer, inner = 2 * (4 * 32**2 + 3 * 32 * 64) + 3 * 32**2 + 32 * 31, 4 * 48**2 + 3 * 48 * 96
    assert model.flops_per_token(1024) == 2 * (outer + inner // 4)


def test_the_guides_example_builds():
    found = counts(outline(HNetBitConfig(dims=(384, 512, 768), num_layers=GUIDE["num_layers"]), 256))
    blocks = 16 * (6 * 384**2 + 6 * 512**2 + 6 * 768**2)
    assert found.total == pytest.approx(blocks + 3 * (384**2 + 512**2) + 2 * 256 * 384, rel=2e-3)


@pytest.mark.parametrize(
    "name, millions", [("simplified/hnet1", 34.5), ("simplified/hnet2", 80.5), ("simplified/hnet2_large", 307)]
)
def test_presets_have_the_sizes_of_their_guide(name, millions):
    preset = PRESETS[name]
    assert counts(outline(preset.config, preset.nominal_vocab)).total == pytest.approx(millions * 1e6, rel=0.05)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"dims": (48, 32)}, r"dims \(\[48, 32\]\) may not shrink inwards; it may be \[32, 48\]"),
        ({"dims": (32,), "num_layers": ((2,),)}, "at least 2 items"),
        ({"num_layers": ((1, 0, 1),)}, r"num_layers \(\[\[1, 0, 1\]\]\) does not fit 2 dims.*\[1, 0, 1\], \[2\]"),
        ({"num_layers": ((1, 0, 1), (1, 0, 1))}, "does not fit 2 dims"),
        ({"num_layers": ((1, 1), (1,))}, "does not fit 2 dims"),
        ({"num_layers": ((1, 2, 1), (1,))}, r"num_layers\[0\] \(\[1, 2, 1\]\) has 2 in the middle.*\[1, 0, 1\]"),
        ({"num_layers": ((0, 0, 1), (1,))}, r"num_layers\[0\] \(\[0, 0, 1\]\) needs at least 1 block"),
        ({"num_layers": ((1, 0, 1), (0,))}, r"num_layers\[1\] \(\[0\]\) needs at least 1 block"),
        ({"chunk_size": 1.0}, r"chunk_size \(1.0\) may be one number above 1"),
        ({"chunk_size": (2.0, 3.0)}, r"chunk_size \(\[2.0, 3.0\]\) may be .* each of the 1 stages"),
        ({"lr_scales": (1.0,)}, r"lr_scales \(\[1.0\]\) may be empty, or one positive number for each of the 2 dims"),
        ({"lr_scales": (1.0, -1.0)}, "one positive number"),
        ({"num_heads": 3}, r"num_heads \(3\) must divide"),
    ],
)
def test_impossible_stages_are_refused_with_what_would_fit(changes, told):
    with pytest.raises(ValidationError, match=told):
        HNetBitConfig(**SMALL | changes)
