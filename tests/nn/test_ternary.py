from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lilliput.nn.bitlinear import BitLinear, PackedBitLinear
from lilliput.nn.kernels import Kernels, kernels, use
from lilliput.nn.ternary import Ternary, fastest, pack, ternary, unpack

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "bitlinear.npz")
PACKED = ["eps_1e-6", "eps_1e-8", "weight_ties", "small_init"]


def golden(case, name):
    return torch.from_numpy(GOLDEN[f"{case}/{name}"])


@pytest.fixture
def road(request):
    before = kernels()
    use(Kernels(ternary=request.param))
    yield request.param
    use(before)


@pytest.mark.parametrize("road", ["fbgemm", "int_mm"], indirect=True)
@pytest.mark.parametrize("rows, inputs, outputs", [(1, 64, 24), (7, 33, 5), (300, 1024, 31)])
def test_every_road_gives_the_same_whole_numbers(road, rows, inputs, outputs):
    generator = torch.Generator().manual_seed(rows)
    x = torch.randint(-128, 128, (rows, inputs), generator=generator).float()
    codes = torch.randint(-1, 2, (outputs, inputs), generator=generator).float()
    try:
        found = Ternary(codes, torch.ones(())).times(x)
    except RuntimeError as cause:
        pytest.skip(f"this machine has no such kernel: {cause}")
    assert torch.equal(found.double(), x.double() @ codes.double().t())


def test_the_longest_sums_are_exact():
    x, codes = torch.full((1, 16_384), -128.0), torch.ones(8, 16_384)
    assert (Ternary(codes, torch.ones(())).times(x) == -128 * 16_384).all()


def test_a_panel_is_made_only_where_enough_rows_read_it():
    matrix = Ternary(torch.ones(8, 16), torch.ones(()))
    matrix.times(torch.ones(3, 16), least=4)
    assert "panel" not in vars(matrix)
    if fastest(few=True) == "fbgemm":
        matrix.times(torch.ones(4, 16), least=4)
        assert "panel" in vars(matrix)


@pytest.mark.parametrize("road", ["fbgemm", "float"], indirect=True)
def test_operations_are_counted_on_every_road(road):
    with FlopCounterMode(display=False) as counter:
        Ternary(torch.ones(8, 16), torch.ones(())).times(torch.ones(3, 16))
    assert counter.get_total_flops() == 2 * 3 * 8 * 16


@pytest.mark.parametrize("case", PACKED)
def test_packed_weights_are_those_of_transformers(case):
    found = ternary(golden(case, "weight"), torch.int8)
    packed = golden(case, "packed_weight")
    assert torch.equal(pack(found.codes), packed)
    assert torch.equal(unpack(packed, len(found.codes)), found.codes)
    assert 1 / found.scale.item() == pytest.approx(golden(case, "packed_weight_scale").item(), rel=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 31])
def test_any_number_of_rows_comes_back_from_packing(rows):
    codes = torch.randint(-1, 2, (rows, 6), dtype=torch.int8)
    assert pack(codes).shape == (-(-rows // 4), 6)
    assert torch.equal(unpack(pack(codes), rows), codes)


@pytest.mark.parametrize("case", PACKED)
def test_a_packed_layer_gives_transformers_outputs_and_the_training_layers_to_the_bit(case):
    weight, norm = golden(case, "weight"), golden(case, "norm_weight")
    layer = BitLinear(weight.shape[1], weight.shape[0], 1e-8 if case == "eps_1e-8" else 1e-6)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.norm.copy_(norm)
    x, packed = golden(case, "x"), PackedBitLinear.of(layer)
    assert torch.equal(packed(x), layer(x))
    expected = golden(case, "packed_y")
    assert (packed(x) - expected).abs().max() < 1e-5 * max(1, expected.std().item())


def test_a_packed_layer_comes_back_from_its_tensors():
    layer, x = BitLinear(12, 7), torch.randn(2, 3, 12)
    stored = PackedBitLinear.of(layer).state_dict()
    assert stored["weight"].dtype == torch.uint8 and stored["weight"].numel() == 2 * 12
    loaded = PackedBitLinear(12, 7)
    loaded(x)  # what was unpacked before is not kept
    loaded.load_state_dict(stored)
    assert torch.equal(loaded(x), layer(x))
