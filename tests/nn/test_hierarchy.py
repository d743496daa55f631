import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lilliput.nn.chunking import beginnings
from lilliput.nn.hierarchy import Level

GOLDEN = Path(__file__).parents[1] / "golden"


class Mixer(nn.Module):
    """The stand-in of the reference: a gated average in place of a state-space layer."""

    def __init__(self, dim):
        super().__init__()
        self.gate_and_input = nn.Linear(dim, 2 * dim, bias=False)
        self.output = nn.Linear(dim, dim, bias=False)

    def forward(self, x, begins, valid, memory, layer):
        a, b = self.gate_and_input(x).chunk(2, dim=-1)
        forget, s, out = a.sigmoid(), memory[layer], []
        for t in range(x.shape[1]):
            fresh = torch.where(begins[:, t, None], 0, forget[:, t]) * s + (1 - forget[:, t]) * b[:, t]
            s = torch.where(valid[:, t, None], fresh, s)
            out.append(s)
        memory[layer] = s
        return self.output(torch.stack(out, dim=1))


class Memory:
    """The averages of a stack's layers (B, D), and the document each row is in."""

    def __init__(self, layers, document):
        self.layers, self.document = layers, document

    def select(self, rows):
        return Memory([layer[rows] for layer in self.layers], self.document[rows])

    def replace(self, rows, chosen):
        self.layers = [x.index_copy(0, rows, y) for x, y in zip(self.layers, chosen.layers, strict=True)]
        self.document = self.document.index_copy(0, rows, chosen.document)


class Stack(nn.Module):
    def __init__(self, dim, layers):
        super().__init__()
        self.dim = dim
        self.norms = nn.ModuleList(nn.RMSNorm(dim, 1e-5) for _ in range(layers))
        self.mixers = nn.ModuleList(Mixer(dim) for _ in range(layers))
        self.final_norm = nn.RMSNorm(dim, 1e-5)

    def new_state(self, batch):
        weight = self.final_norm.weight
        return Memory([weight.new_zeros(batch, self.dim) for _ in self.mixers], torch.full((batch,), -1))

    def forward(self, x, documents, state=None):
        memory = self.new_state(len(x)) if state is None else state
        if documents is None:
            documents = memory.document.clamp(min=0)[:, None].expand(x.shape[:2])
        begins, valid = beginnings(documents, memory.document), documents >= 0
        for layer, (norm, mixer) in enumerate(zip(self.norms, self.mixers, strict=True)):
            x = x + mixer(norm(x), begins, valid, memory.layers, layer)
        memory.document = torch.where(valid.any(dim=1), documents.amax(dim=1), memory.document)
        return self.final_norm(x)


class Skeleton(nn.Module):
    def __init__(self, vocab, widths, depths):
        super().__init__()
        self.embedding = nn.Embedding(vocab, widths[0])
        inner = Stack(widths[-1], *depths[-1])
        for dim, inner_dim, (before, after) in zip(widths[-2::-1], widths[:0:-1], depths[-2::-1], strict=True):
            inner = Level(Stack(dim, before), inner, Stack(dim, after), dim, inner_dim)
        self.level = inner
        self.head = nn.Linear(widths[0], vocab, bias=False)

    def forward(self, ids, documents=None, state=None):
        y, cuts = self.level(self.embedding(ids), documents, state)
        return self.head(y), cuts


def ours(name):
    """Our skeleton's name of a parameter for the reference's."""
    if name in ("embedding", "head"):
        return f"{name}.weight"
    stage, part = int(name[5]), name[7:]
    if part == "pad":
        return "level." + "inner." * (stage - 1) + "pad"
    part = part.removeprefix("main.")
    if "layers." in part:
        head, _, tail = part.partition("layers.")
        layer, _, tail = tail.partition(".")
        part = f"{head}norms.{layer}" if tail == "norm" else f"{head}mixers.{layer}.{tail.removeprefix('mixer.')}"
    return "level." + "inner." * stage + part + ("" if part.endswith(("bias", "weight")) else ".weight")


@pytest.fixture(scope="module", params=["1stage", "2stage"])
def golden(request):
    """goombalab/hnet's whole model with stand-in blocks, in float64."""
    with np.load(GOLDEN / f"hnet_skeleton_{request.param}.npz") as stored:
        arrays = {name: torch.from_numpy(stored[name]) for name in stored.files if name != "config"}
        return {name: a.double() if a.is_floating_point() else a for name, a in arrays.items()} | {
            "config": json.loads(str(stored["config"]))
        }


@pytest.fixture
def model(golden):
    config, layout, depths = golden["config"], golden["config"]["layout"], []
    while len(layout) == 3:
        depths.append((int(layout[0][1:]), int(layout[2][1:])))
        layout = layout[1]
    model = Skeleton(config["vocab"], config["widths"], [*depths, (int(layout[0][1:]),)]).double()
    wanted = {ours(name[6:]): array for name, array in golden.items() if name.startswith("param/")}
    model.load_state_dict(wanted)
    return model


def rows(golden):
    return golden["ids"].long(), torch.where(torch.arange(33) < golden["lengths"][:, None], 0, -1)


def test_logits_and_cuts_equal_the_reference(golden, model):
    ids, documents = rows(golden)
    found, cuts = model(ids, documents)
    valid = documents >= 0
    torch.testing.assert_close(found[valid], golden["logits_packed"], rtol=0, atol=1e-10)
    for stage, cut in enumerate(cuts):
        here = valid if stage == 0 else slice(None)
        expected = golden[f"stage{stage}/probability_packed"]
        torch.testing.assert_close(cut.probability[here].flatten(), expected, rtol=0, atol=1e-11)
        assert torch.equal(cut.boundary[here].flatten(), golden[f"stage{stage}/boundary_packed"])


def test_losses_and_gradients_equal_the_reference(golden, model):
    (ids, documents), config = rows(golden), golden["config"]
    found, cuts = model(ids, documents)
    counted = documents[:, 1:] >= 0
    nats = F.cross_entropy(found[:, :-1][counted], ids[:, 1:][counted])
    ratios = [cut.ratio_loss(size) for cut, size in zip(cuts, config["N"], strict=True)]
    total = nats + config["ratio_weight"] * sum(ratios)
    assert [ratio.item() for ratio in ratios] == pytest.approx(config["ratio_losses"], abs=1e-11)
    assert total.item() == pytest.approx(config["total"], abs=1e-10)
    total.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert len(config["grad_norms"]) == len(gradients)
    for name, norm in config["grad_norms"].items():
        assert gradients[ours(name)].norm().item() == pytest.approx(norm, rel=1e-9), name
    for name, array in golden.items():
        if name.startswith("grad/"):
            torch.testing.assert_close(gradients[ours(name[5:])], array, rtol=1e-6, atol=1e-8, msg=name)


@pytest.mark.parametrize("sizes", [[1] * 33, [10] + [1] * 23, [4, 9, 1, 7, 12]])
def test_step_by_step_equals_the_reference(golden, model, sizes):
    state = model.level.new_state(1)
    with torch.no_grad():
        parts = [model(part, state=state)[0] for part in golden["ids"][:1].long().split(sizes, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1)[0], golden["step_logits_row0"], rtol=0, atol=1e-6)
    whole = model(golden["ids"][:1].long())[0]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("sizes", [[1] * 12, [5, 1, 6], [12]])
def test_rows_of_unequal_prompts_go_on_as_each_would_alone(golden, model, sizes):
    lengths, ids = golden["lengths"].tolist(), golden["ids"].long()
    padded, documents = torch.zeros(3, 21, dtype=torch.long), torch.full((3, 21), -1)
    for row, used in enumerate((21, 9, 1)):
        padded[row, 21 - used :], documents[row, 21 - used :] = ids[row, :used], 0
    state = model.level.new_state(3)
    with torch.no_grad():
        last = model(padded, documents, state)[0][:, -1:]
        rest = torch.stack([ids[row, used : used + 12] for row, used in enumerate((21, 9, 1))])
        parts = [last, *(model(part, state=state)[0] for part in rest.split(sizes, dim=1))]
        decoded = torch.cat(parts, dim=1)
        for row, used in enumerate((21, 9, 1)):
            length = min(lengths[row], used + 12)
            alone = model(ids[row : row + 1, :length])[0][0, used - 1 :]
            torch.testing.assert_close(decoded[row, : len(alone)], alone, rtol=0, atol=1e-12)


def test_documents_of_a_row_and_a_row_alone_give_the_same(golden, model):
    ids, documents = rows(golden)
    whole, lengths = model(ids, documents)[0], golden["lengths"].tolist()
    packed = torch.cat([ids[row, :length] for row, length in enumerate(lengths)])[None]
    together = model(packed, torch.tensor([7, 1, 4]).repeat_interleave(golden["lengths"])[None])[0]
    torch.testing.assert_close(together[0], whole[documents >= 0], rtol=0, atol=1e-12)
    for row, length in enumerate(lengths):
        alone = model(ids[row : row + 1, :length])[0][0]
        torch.testing.assert_close(alone, whole[row, :length], rtol=0, atol=1e-12)


def test_a_new_document_in_a_later_call_forgets_the_one_before(golden, model):
    ids = golden["ids"].long()
    first, second = ids[:1, :9], ids[1:2, :7]
    state = model.level.new_state(1)
    with torch.no_grad():
        model(first, torch.zeros(1, 9, dtype=torch.long), state)
        found = torch.cat(
            [model(second[:, t : t + 1], torch.ones(1, 1, dtype=torch.long), state)[0] for t in range(7)], dim=1
        )
        torch.testing.assert_close(found, model(second)[0], rtol=0, atol=1e-12)


def test_a_selection_is_a_copy_and_goes_on_alone(golden, model):
    ids = golden["ids"].long()
    state = model.level.new_state(3)
    with torch.no_grad():
        model(ids[:, :11], state=state)
        chosen = state.select(torch.tensor([2, 0, 2]))
        expected = model(ids[:, 11:15], state=state)[0]
        found = model(ids[[2, 0, 2], 11:15], state=chosen)[0]
    torch.testing.assert_close(found, expected[[2, 0, 2]], rtol=0, atol=1e-12)


def test_an_untrained_level_passes_its_average_on_alone():
    level = Level(Stack(8, 1), Stack(12, 1), Stack(8, 1), 8, 12)
    assert not level.residual.weight.any() and not level.residual.bias.any() and not level.pad.any()
    assert torch.equal(level.router.query.weight, torch.eye(8))
    assert Level(Stack(8, 1), Stack(8, 1), Stack(8, 1), 8, 8).pad is None
