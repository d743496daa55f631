import pytest
import torch

from lilliput.nn.rope import rotate, rotation


def test_pairs_half_a_head_apart_turn_by_position_times_frequency():
    x = torch.randn(1, 1, 5, 8, dtype=torch.float64)
    found = rotate(x, rotation(torch.arange(5), 8, 100.0, torch.float64))
    for t in range(5):
        for j in range(4):
            turned = torch.complex(x[0, 0, t, j], x[0, 0, t, j + 4]) * torch.polar(
                torch.tensor(1.0).double(), torch.tensor(t * 100.0 ** (-2 * j / 8)).double()
            )
            assert found[0, 0, t, j].item() == pytest.approx(turned.real.item())
            assert found[0, 0, t, j + 4].item() == pytest.approx(turned.imag.item())


def test_products_depend_on_the_distance_only():
    q, k = torch.randn(2, 1, 1, 1, 16, dtype=torch.float64)
    near, far = (
        rotate(q, rotation(torch.tensor([p + 4]), 16, 1e4, q.dtype))
        @ rotate(k, rotation(torch.tensor([p]), 16, 1e4, q.dtype)).mT
        for p in (3, 900)
    )
    torch.testing.assert_close(near, far)


def test_rows_may_stand_at_different_positions():
    x = torch.randn(2, 3, 4, 8)
    places = torch.tensor([[0, 1, 2, 3], [5, 6, 0, 1]])
    together = rotate(x, rotation(places, 8, 1e4, x.dtype))
    for row in range(2):
        torch.testing.assert_close(together[row], rotate(x[row], rotation(places[row], 8, 1e4, x.dtype)))


def test_angles_keep_their_precision_in_half_precision():
    cos, _ = rotation(torch.tensor([30_001]), 4, 1e4, torch.bfloat16)
    assert cos[0, 0].item() == pytest.approx(torch.tensor(30_001.0).double().cos().item(), abs=0.004)
