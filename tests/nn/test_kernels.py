import pytest
import torch

from lilliput.nn.kernels import Kernels


@pytest.mark.parametrize(
    "dtype, time, learns, form",
    [
        (torch.float32, 64, True, "fused"),
        (torch.bfloat16, 64, True, "written"),
        (torch.bfloat16, 512, True, "widened"),
        (torch.bfloat16, 64, False, "fused"),
    ],
)
def test_attention_is_chosen_by_precision_and_length_unless_told(dtype, time, learns, form):
    query = torch.zeros(1, 1, time, 2, dtype=dtype, requires_grad=learns)
    assert Kernels().attention_of(query) == form
    assert Kernels(attention="written").attention_of(query) == "written"
