"""Every family on an accelerator against the same model on the CPU."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from tests.contract.test_families import CONFIGS, TERNARY, awake, draw, logits, loss, untrained

from lilliput.models.contract import LanguageModel
from lilliput.nn import kernels
from lilliput.nn.kernels import Kernels

pytestmark = [pytest.mark.gpu, pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)]
DOCUMENTS = torch.tensor([[0] * 12 + [1] * 20, [-1] * 4 + [0] * 28])


@pytest.fixture(autouse=True)
def accelerator():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture
def model(config):
    return awake(untrained(config))


def gradients(model: LanguageModel, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss(model, tokens).backward()
    return {name: p.grad.to("cpu", copy=True) for name, p in model.named_parameters()}


def refuse_turned_codes(model: LanguageModel, dtype: torch.dtype) -> None:
    if model.config.family in TERNARY and dtype == torch.float32:
        pytest.skip("another order of additions turns a code of 8 bits here and there")


@contextmanager
def choice(**chosen):
    before = kernels.kernels()
    kernels.use(Kernels(**chosen))
    try:
        yield
    finally:
        kernels.use(before)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 2e-5), (torch.float64, 1e-12)])
def test_it_predicts_what_the_processor_predicts(model, dtype, tolerance):
    refuse_turned_codes(model, dtype)
    model, tokens = model.to(dtype), draw(2, 32)
    expected = logits(model, tokens, documents=DOCUMENTS)
    found = logits(model.cuda(), tokens.cuda(), documents=DOCUMENTS.cuda()).cpu()
    seen = DOCUMENTS >= 0
    torch.testing.assert_close(found[seen], expected[seen], rtol=0, atol=tolerance * expected.std().item())


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.float64, 1e-11)])
def test_its_gradients_are_the_processors(model, dtype, tolerance):
    refuse_turned_codes(model, dtype)
    model, tokens = model.to(dtype), draw(2, 33)
    expected = gradients(model, tokens)
    found = gradients(model.cuda(), tokens.cuda())
    for name, gradient in expected.items():
        torch.testing.assert_close(
            found[name], gradient, rtol=0, atol=tolerance * (gradient.std().item() + 1e-3), msg=lambda m, n=name: n + m
        )


@pytest.mark.parametrize("experts", ["grouped", "sliced"])
def test_both_forms_of_expert_dispatch_agree_in_half_precision(config, model, experts):
    if not model.has_experts:
        pytest.skip("it has no experts")
    model, tokens = model.bfloat16().cuda(), draw(2, 33).cuda()
    with choice(experts="sliced"):
        expected = logits(model, tokens).float()
    with choice(experts=experts):
        found = logits(model, tokens).float()
        values = gradients(model, tokens)
    assert (found - expected).std() < 0.02 * expected.std()
    assert all(value.isfinite().all() for value in values.values())


def test_decoding_step_by_step_equals_one_whole_forward(model):
    model, tokens = model.double().cuda(), draw(2, 24).cuda()
    whole = logits(model, tokens)
    state = model.new_state(batch=2, length=24)
    with torch.no_grad():
        parts = [logits(model, part, state=state) for part in tokens.split([10, 1, 1, 5, 1, 1, 1, 1, 3], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-11 * whole.std().item())


def test_prompts_of_unequal_length_decode_as_each_would_alone(model):
    model, lengths = model.double().cuda(), (9, 4, 1)
    prompts = [draw(1, n).cuda() for n in lengths]
    padded, documents = torch.zeros(3, 9, dtype=torch.long).cuda(), torch.full((3, 9), -1).cuda()
    for row, prompt in enumerate(prompts):
        padded[row, 9 - prompt.shape[1] :], documents[row, 9 - prompt.shape[1] :] = prompt, 0
    with torch.no_grad():
        last = logits(model, padded, documents=documents, state=model.new_state(batch=3, length=15))[:, -1]
    for row, prompt in enumerate(prompts):
        alone = logits(model, prompt)[0, -1]
        torch.testing.assert_close(last[row], alone, rtol=0, atol=1e-11 * alone.std().item())


def test_half_precision_stays_near_full_precision(model):
    if model.config.family in TERNARY:
        model = model.bfloat16().float()
    tokens = draw(2, 32)
    full = logits(model, tokens, documents=DOCUMENTS)
    half = logits(model.bfloat16().cuda(), tokens.cuda(), documents=DOCUMENTS.cuda()).float().cpu()
    seen = DOCUMENTS >= 0
    assert half[seen].isfinite().all()
    assert (half[seen] - full[seen]).std() < 0.05 * full.std()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_compiles_and_gives_the_same_gradients(config):
    if config.family == "hnet_bit":
        pytest.skip("how long its inner sequences are is known only once the text has been read")
    config = replace(config, dropout=0.0) if hasattr(config, "dropout") else config
    model, tokens = awake(untrained(config)).train().cuda(), draw(2, 33).cuda()
    expected = gradients(model, tokens)
    torch.compiler.reset()
    compiled = torch.compile(loss)
    model.zero_grad()
    compiled(model, tokens).backward()
    for name, p in model.named_parameters():
        spread = expected[name].std().item() + 1e-3
        torch.testing.assert_close(
            p.grad.cpu(), expected[name], rtol=0, atol=2e-3 * spread, msg=lambda m, n=name: n + m
        )
