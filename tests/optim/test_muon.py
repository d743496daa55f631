import torch

from lilliput.optim.muon import orthogonalize

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def test_each_matrix_of_a_stack_is_orthogonalised_as_if_alone():
    torch.manual_seed(0)
    for shape in ((5, 6, 6), (3, 12, 4), (3, 4, 12)):
        matrices = torch.randn(shape)
        together = orthogonalize(matrices, COEFFICIENTS, 5, 1e-7)
        alone = [orthogonalize(matrix[None], COEFFICIENTS, 5, 1e-7)[0] for matrix in matrices]
        assert torch.allclose(together, torch.stack(alone), atol=2e-2)


def test_singular_values_end_near_one():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(4, 16, 32), COEFFICIENTS, 5, 1e-7).float())
    assert values.min() > 0.4 and values.max() < 1.6


def test_a_zero_gradient_stays_zero():
    assert not orthogonalize(torch.zeros(1, 4, 4), COEFFICIENTS, 5, 1e-7).any()
