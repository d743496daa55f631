import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lilliput.config.errors import Exit, LilliputError
from lilliput.inference.sampling import SamplingConfig, candidates, choose, penalise, uniform

# a grid, so that no two probabilities differ by rounding alone
logit_rows = st.lists(st.integers(-1280, 1280).map(lambda n: n / 64), min_size=1, max_size=12, unique=True)
configs = st.builds(
    SamplingConfig,
    temperature=st.sampled_from([1e-30, 0.3, 1.0, 2.5]),
    top_k=st.integers(0, 14),
    top_p=st.sampled_from([1e-9, 0.3, 0.9, 1.0]),
    min_p=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
)


def dense(logits: torch.Tensor, config: SamplingConfig) -> np.ndarray:
    found = candidates(logits, config)
    return torch.zeros(logits.shape, dtype=torch.float64).scatter(-1, found.ids, found.probabilities).numpy()


def by_the_book(logits: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """One row at a time, one token at a time."""
    scaled = (logits - logits.max()) / config.temperature
    left = dict(enumerate(np.exp(scaled) / np.exp(scaled).sum()))
    if config.top_k:
        left = dict(sorted(left.items(), key=lambda item: -item[1])[: config.top_k])
    left = {token: share / sum(left.values()) for token, share in left.items()}
    if config.top_p < 1:
        total, kept = 0.0, {}
        for token, share in sorted(left.items(), key=lambda item: -item[1]):
            if total < config.top_p:
                kept[token] = share
            total += share
        left = {token: share / sum(kept.values()) for token, share in kept.items()}
    left = {token: share for token, share in left.items() if share >= config.min_p * max(left.values())}
    return np.array([left.get(token, 0.0) / sum(left.values()) for token in range(len(logits))])


@settings(deadline=None, max_examples=200)
@given(logit_rows, configs)
def test_the_cuts_equal_the_definition_by_the_book(row, config):
    logits = torch.tensor([row], dtype=torch.float32)
    expected = by_the_book(logits[0].double().numpy(), config)
    np.testing.assert_allclose(dense(logits, config)[0], expected, rtol=1e-9, atol=1e-300)


def test_the_token_that_crosses_p_is_kept():
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    kept = {p: int((dense(logits, SamplingConfig(top_p=p)) > 0).sum()) for p in (0.4, 0.6, 0.9, 1.0)}
    assert kept == {0.4: 1, 0.6: 2, 0.9: 3, 1.0: 3}


def test_a_cut_reads_what_the_cut_before_it_left():
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    # of the best two, the first alone holds 4/7 > 0.55, though only 0.4 of the whole
    assert (dense(logits, SamplingConfig(top_k=2, top_p=0.55)) > 0).sum() == 1
    assert (dense(logits, SamplingConfig(top_k=0, top_p=0.55)) > 0).sum() == 2


@settings(deadline=None, max_examples=100)
@given(logit_rows, configs, st.floats(0, 1, exclude_max=True))
def test_a_draw_is_never_a_token_that_was_cut(row, config, draw):
    logits = torch.tensor([row])
    token = int(choose(logits, config, torch.tensor([draw], dtype=torch.float64)))
    assert dense(logits, config)[0, token] > 0


def test_draws_follow_the_probabilities():
    logits = torch.randn(1, 9, generator=torch.Generator().manual_seed(0)).expand(20_000, 9)
    config = SamplingConfig(temperature=0.8, top_k=6, top_p=0.95)
    uniforms = torch.tensor([uniform(3, sample, 0) for sample in range(20_000)], dtype=torch.float64)
    counts = np.bincount(choose(logits, config, uniforms), minlength=9)
    shares = dense(logits[:1], config)[0]
    deviation = np.sqrt(20_000 * shares * (1 - shares)) + 1e-9
    assert (np.abs(counts - 20_000 * shares) < 4.5 * deviation).all()


def test_draws_are_uniform_and_differ_by_seed_sample_and_position():
    draws = np.array([[uniform(s, n, p) for p in range(50)] for s in range(10) for n in range(10)])
    assert len(np.unique(draws)) == draws.size
    assert draws.min() >= 0
    assert draws.max() < 1
    assert np.abs(np.histogram(draws, 10, (0, 1))[0] - 500).max() < 5 * np.sqrt(450)


@pytest.mark.parametrize("config", [SamplingConfig(greedy=True), SamplingConfig(temperature=0.0)])
def test_greedy_and_temperature_zero_take_the_most_likely_token(config):
    logits = torch.randn(50, 33, generator=torch.Generator().manual_seed(1))
    for draw in (0.0, 0.999):
        assert torch.equal(choose(logits, config, torch.full((50,), draw)), logits.argmax(-1))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-9, 9), st.booleans()), min_size=1), st.sampled_from([0.5, 1.0, 1.3]))
def test_the_penalty_equals_its_definition(row, penalty):
    logits, seen = torch.tensor([[x for x, _ in row]]), torch.tensor([[s for _, s in row]])
    expected = [(x / penalty if x > 0 else x * penalty) if s else x for x, s in row]
    torch.testing.assert_close(penalise(logits, seen, penalty)[0], torch.tensor(expected))


def test_defaults_are_those_of_the_documentation():
    config = SamplingConfig()
    assert (config.temperature, config.top_k, config.top_p, config.repetition_penalty) == (1.0, 50, 0.9, 1.0)
    assert config.max_tokens == 100
    assert not config.is_greedy


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_k": 2.5},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": 2.0},
        {"repetition_penalty": 0.0},
        {"max_tokens": 0},
        {"stop": ("",)},
    ],
)
def test_impossible_values_are_refused(wrong):
    with pytest.raises(ValidationError):
        SamplingConfig(**wrong)


def test_logits_of_a_diverged_model_are_an_error():
    with pytest.raises(LilliputError) as error:
        candidates(torch.tensor([[0.0, float("nan")]]), SamplingConfig())
    assert error.value.code is Exit.DIVERGED
