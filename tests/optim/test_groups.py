import torch
from torch import nn

from lilliput.nn.experts import Mixture, swiglu
from lilliput.optim.groups import group_parameters, scale_of


def names(groups, **wanted):
    return {
        n for group in groups if all(getattr(group, key) == value for key, value in wanted.items()) for n in group.names
    }


def test_every_parameter_is_in_exactly_one_group(model):
    listed = [name for group in group_parameters(model, decay_embeddings=False) for name in group.names]
    assert sorted(listed) == sorted(name for name, _ in model.named_parameters())


def test_norms_biases_and_embeddings_do_not_decay(model):
    groups = group_parameters(model, decay_embeddings=False)
    assert names(groups, decays=True) == {"first.weight", "second.weight", "up.weight", "down.weight", "head.weight"}


def test_embeddings_decay_when_asked(model):
    groups = group_parameters(model, decay_embeddings=True)
    assert "embedding.weight" in names(groups, decays=True)


def test_a_head_tied_to_the_embedding_counts_as_embedding(model):
    model.head.weight = model.embedding.weight
    groups = group_parameters(model, decay_embeddings=False)
    assert "embedding.weight" in names(groups, decays=False, hidden=False)


def test_hidden_are_the_matrices_that_are_neither_embedding_nor_head(model):
    groups = group_parameters(model, decay_embeddings=False)
    assert names(groups, hidden=True) == {"first.weight", "second.weight", "up.weight", "down.weight"}


def test_a_routers_matrices_are_not_hidden_but_decay(model):
    model.router = nn.Linear(8, 3, bias=False)
    groups = group_parameters(model, decay_embeddings=False)
    assert "router.weight" in names(groups, hidden=False, decays=True)


def test_a_frozen_parameter_is_in_no_group(model):
    model.first.requires_grad_(False)
    assert not any(n.startswith("first") for n in names(group_parameters(model, decay_embeddings=False)))


def test_the_longest_prefix_in_whole_words_scales_the_rate(model):
    scales = {"blocks": 2.0, "blocks.1": 3.0, "head": 0.5}
    seen = [scale_of(name, scales) for name in ("blocks.0.up", "blocks.1.up", "blocks.10.up", "header", "head.weight")]
    assert seen == [2.0, 3.0, 2.0, 1.0, 0.5]
    assert names(group_parameters(model, decay_embeddings=False), scale=2.0) == {"up.weight", "up.bias"}


def test_a_model_without_a_head_of_its_own_parameters_still_groups(model):
    model.head = nn.Identity()
    assert "first.weight" in names(group_parameters(model, decay_embeddings=False), hidden=True)


def test_stacked_experts_are_hidden_matrices_and_their_biases_are_vectors(model):
    model.mixture = Mixture(8, 16, 4, 2, swiglu, bias=True)
    groups = group_parameters(model, decay_embeddings=False)
    stacked = {"mixture.gate_up.weight", "mixture.down.weight"}
    assert stacked <= names(groups, hidden=True, decays=True)
    biases = {"mixture.gate_up.bias", "mixture.down.bias", "mixture.router.bias"}
    assert biases <= names(groups, hidden=False, decays=False)


def test_a_router_decays_and_is_no_hidden_matrix(model):
    model.mixture = Mixture(8, 16, 4, 2, swiglu)
    assert "mixture.router.weight" in names(group_parameters(model, decay_embeddings=False), hidden=False, decays=True)


def test_taps_of_a_short_convolution_and_tables_of_bounds_are_vectors(model):
    model.convolution = nn.Conv1d(8, 8, 4, groups=8)
    model.lower_bounds = nn.Parameter(torch.zeros(3, 8))
    vectors = names(group_parameters(model, decay_embeddings=False), hidden=False, decays=False)
    assert {"convolution.weight", "lower_bounds"} <= vectors
