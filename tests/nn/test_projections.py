import pytest
import torch
from torch import nn

from lilliput.nn.projections import projected


@pytest.mark.parametrize("biases", [(True, True, True), (False, False, False), (True, False, True)])
def test_one_product_equals_one_for_each_layer(biases):
    layers = [
        nn.Linear(6, width, bias=bias, dtype=torch.float64) for width, bias in zip((4, 2, 3), biases, strict=True)
    ]
    x = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    of = [x, *(parameter for layer in layers for parameter in layer.parameters())]
    shares = [torch.randn(2, 5, layer.out_features, dtype=torch.float64) for layer in layers]
    found, expected = projected(x, *layers), [layer(x) for layer in layers]
    torch.testing.assert_close(list(found), expected)
    gradients = [
        torch.autograd.grad(sum((y * s).sum() for y, s in zip(ys, shares, strict=True)), of) for ys in (found, expected)
    ]
    torch.testing.assert_close(*gradients)


def test_a_layer_that_is_more_than_linear_is_asked_itself():
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    plain, doubled = nn.Linear(3, 2), Doubled(3, 2)
    x = torch.randn(1, 3)
    torch.testing.assert_close(projected(x, plain, doubled)[1], doubled(x))
