from pathlib import Path

import numpy as np
import pytest
import torch

from lilliput.nn.rope import Yarn, rotate, rotation


def test_pairs_half_a_head_apart_turn_by_position_times_frequency():
    x = torch.randn(1, 1, 5, 8, dtype=torch.float64)
    found = rotate(x, rotation(torch.arange(5), 8, 100.0, torch.float64))
    for t in range(5):
        for j in range(4):
            turned = torch.complex(x[0, 0, t, j], x[0, 0, t, j + 4]) * torch.polar(
                torch.ones((), dtype=torch.float64), torch.tensor(t * 100.0 ** (-2 * j / 8), dtype=torch.float64)
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


@pytest.mark.parametrize(
    "factor, length, dims", [(32.0, 4096, 64), (32.0, 4096, 16), (4.0, 128, 16), (2.0, 7, 8), (8.0, 2**20, 8)]
)
def test_yarn_slows_pairs_as_transformers_does(factor, length, dims):
    transformers = pytest.importorskip("transformers")
    settings = {
        "rope_theta": 150_000.0, "rope_type": "yarn", "factor": factor, "original_max_position_embeddings": length,
        "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
    }  # fmt: skip
    config = transformers.GptOssConfig(head_dim=dims, rope_parameters=settings)
    expected, size = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["yarn"](config, "cpu")
    yarn = Yarn(factor, length)
    plain = 150_000.0 ** (-torch.arange(0, dims, 2).double() / dims)
    torch.testing.assert_close(yarn.slowed(plain, 150_000.0).float(), expected, rtol=2e-6, atol=0)
    assert yarn.attention_factor == pytest.approx(size)
    cos, sin = rotation(torch.tensor([1]), dims, 150_000.0, torch.float64, yarn)
    torch.testing.assert_close(cos[0, : dims // 2], yarn.slowed(plain, 150_000.0).cos() * yarn.attention_factor)
    torch.testing.assert_close(sin[0, dims // 2 :], yarn.slowed(plain, 150_000.0).sin() * yarn.attention_factor)


@pytest.mark.parametrize("case, factor", [("yarn", 32.0), ("plain", 1.0)])
def test_frequencies_equal_those_of_openai(case, factor):
    stored = np.load(Path(__file__).parents[1] / "golden" / "gpt_oss_model.npz")
    plain = 150_000.0 ** (-torch.arange(0, 16, 2).double() / 16)
    found = Yarn(factor, 4096).slowed(plain, 150_000.0)
    torch.testing.assert_close(found, torch.from_numpy(stored[f"{case}/inv_freq"]), rtol=1e-14, atol=0)


def test_yarn_by_a_factor_of_one_is_plain_rotation():
    places = torch.arange(50)
    for plain, slowed in zip(
        rotation(places, 8, 1e4, torch.float64),
        rotation(places, 8, 1e4, torch.float64, Yarn(1.0, 64)),
        strict=True,
    ):
        torch.testing.assert_close(slowed, plain, rtol=0, atol=1e-14)


def test_a_turns_gradient_is_that_of_its_products():
    x, share = torch.randn(2, 3, 4, 8, dtype=torch.float64, requires_grad=True), torch.randn(2, 3, 4, 8)
    turn = rotation(torch.tensor([[0, 1, 2, 3], [5, 6, 0, 1]]), 8, 1e4, x.dtype)
    expected = x * turn[0] + x.roll(4, dims=-1) * turn[1]
    found = rotate(x, turn)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad((y * share).sum(), x)[0] for y in (found, expected)))
