from pathlib import Path

import numpy as np
import pytest
import torch

from lilliput.nn.recurrence import Course, RecurrentState, ShortConvolution, scan

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "hgrn_recurrence.npz")
CASES = sorted({name.partition("/")[0] for name in GOLDEN.files if "/" in name})
BOTH = pytest.mark.parametrize("mode", ["chunk", "fused_recurrent"])


def golden(case, name, dtype=torch.float64):
    key = f"{case}/{name}"
    return torch.from_numpy(GOLDEN[key]).to(dtype) if key in GOLDEN.files else None


def assert_near(found, expected, tolerance):
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=tolerance)


@BOTH
@pytest.mark.parametrize("case", CASES)
def test_states_and_gradients_equal_flash_linear_attentions(case, mode):
    forget, x, start = (golden(case, name) for name in ("forget", "x", "h0"))
    leaves = [leaf.requires_grad_() for leaf in (forget, x, start) if leaf is not None]
    h, last = scan(forget, x, start, mode)
    assert_near(h, golden(case, "h"), 1e-10)
    assert_near(last, golden(case, "h_final"), 1e-10)
    if (cotangent := golden(case, "cotangent_h")) is None:
        return
    ((h * cotangent).sum() + (last * golden(case, "cotangent_final")).sum()).backward()
    found = dict(zip(("grad_forget", "grad_x", "grad_h0"), leaves, strict=False))
    compared = [name for name in found if golden(case, name) is not None]
    assert {"grad_x"} | ({"grad_h0"} if start is not None else set()) <= set(compared)
    for name in compared:
        expected = golden(case, name)
        assert_near(found[name].grad, expected, 1e-7 * max(1, expected.abs().max().item()))


@BOTH
@pytest.mark.parametrize("case", CASES)
def test_single_precision_stays_near_the_reference(case, mode):
    forget, x, start = (golden(case, name, torch.float32) for name in ("forget", "x", "h0"))
    forget.requires_grad_(), x.requires_grad_()
    h, last = scan(forget, x, start, mode)
    assert h.dtype == torch.float32
    allowed = 1e-4 if case.startswith(("near_one", "by_channel_long")) else 1e-5
    assert_near(h, golden(case, "h"), allowed)
    if (cotangent := golden(case, "cotangent_h", torch.float32)) is None:
        return
    ((h * cotangent).sum() + (last * golden(case, "cotangent_final", torch.float32)).sum()).backward()
    for leaf, name in ((x, "grad_x"), (forget, "grad_forget")):
        if (expected := golden(case, name)) is not None:
            assert_near(leaf.grad, expected, 1e-4 * expected.abs().max().item())


@pytest.mark.parametrize("time", [1, 2, 3, 5, 31, 64, 97])
def test_the_analytic_gradient_is_the_numerical_one(time):
    generator = torch.Generator().manual_seed(time)
    forget, x = (torch.rand(2, time, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    start = torch.rand(2, 2, generator=generator, dtype=torch.float64)
    forget[:, time // 2] = 0  # a document begins
    for leaf in (forget, x, start):
        leaf.requires_grad_()
    assert torch.autograd.gradcheck(scan, (forget, x, start), fast_mode=time > 5)


def test_a_long_scan_needs_memory_in_proportion_to_its_length():
    needed = []
    for time in (1024, 4096):
        forget, x = torch.rand(1, time, 16, requires_grad=True), torch.rand(1, time, 16, requires_grad=True)
        with torch.profiler.profile(profile_memory=True) as profile:
            scan(forget, x)[0].sum().backward()
        needed.append(sum(max(0, event.self_cpu_memory_usage) for event in profile.events()))
    assert needed[1] < 5 * needed[0]


def test_a_gate_of_zero_forgets_even_an_infinite_past():
    forget, x = torch.full((1, 9, 1), 0.5), torch.ones(1, 9, 1)
    x[:, :4], forget[:, 4] = 1e38, 0.0
    h, _ = scan(forget, x)
    assert_near(h[0, 4:, 0], torch.tensor([2 - 0.5**n for n in range(5)]), 1e-6)


def test_documents_begin_with_an_empty_state_and_padding_is_one():
    documents = torch.tensor([[3, 3, 7, 7, -1, -1, 3]])
    course = Course(documents)
    assert course.begins.tolist() == [[False, False, True, False, True, False, True]]
    h = course.scan(0, torch.ones(1, 7, 1), torch.ones(1, 7, 1))
    assert h.flatten().tolist() == [1, 2, 1, 2, 1, 2, 1]


def test_a_state_goes_on_with_its_last_document_or_begins_another():
    state = RecurrentState(1, 2)
    ones = torch.ones(2, 2, 1)
    Course(torch.tensor([[4, 4], [-1, 5]]), state).scan(0, ones, ones)
    assert Course(None, state).scan(0, ones, ones).flatten(1).tolist() == [[3, 4], [2, 3]]
    assert Course(torch.tensor([[4, 4], [6, 6]]), state).scan(0, ones, ones).flatten(1).tolist() == [[5, 6], [1, 2]]
    assert state.hidden[0].flatten().tolist() == [6, 2]


def test_rows_taken_from_a_state_come_back_to_it():
    state, one = RecurrentState(1, 3), torch.ones(3, 1, 1)
    convolution = ShortConvolution(1, 0)
    course = Course(None, state)
    convolution(one, course)
    course.scan(0, one, one)
    rows = torch.tensor([2, 0])
    chosen = state.select(rows)
    alone = Course(torch.tensor([[0], [8]]), chosen)
    convolution(5 * one[rows], alone)
    alone.scan(0, one[rows], 2 * one[rows])
    state.replace(rows, chosen)
    assert state.hidden[0].flatten().tolist() == [2, 1, 3]
    assert state.tails[0][:, :, 0].tolist() == [[0, 0, 5], [0, 0, 1], [0, 1, 5]]
    assert state.documents.tolist() == [8, 0, 0]


def test_rows_come_back_to_a_state_that_had_seen_nothing():
    state = RecurrentState(1, 3)
    rows = torch.tensor([1])
    chosen = state.select(rows)
    Course(None, chosen).scan(0, torch.ones(1, 1, 2), torch.ones(1, 1, 2))
    state.replace(rows, chosen)
    assert state.hidden[0].tolist() == [[0, 0], [1, 1], [0, 0]]


def test_a_short_convolution_is_torchs_depthwise_one():
    convolution, x = ShortConvolution(6, 0).double(), torch.randn(2, 9, 6, dtype=torch.float64)
    theirs = torch.nn.functional.conv1d(x.mT, convolution.weight, padding=3, groups=6)[..., :9]
    assert_near(convolution(x, Course()), torch.nn.functional.silu(theirs).mT, 1e-12)


@pytest.mark.parametrize("cuts", [(12,), (5, 7), (1,) * 12, (2, 1, 9)])
def test_a_short_convolution_never_reaches_into_another_document(cuts):
    convolution, x = ShortConvolution(4, 0).double(), torch.randn(1, 12, 4, dtype=torch.float64)
    documents, state = torch.tensor([[0] * 4 + [1] * 2 + [2] * 6]), RecurrentState(1, 1)
    parts = zip(x.split(cuts, dim=1), documents.split(cuts, dim=1), strict=True)
    found = torch.cat([convolution(part, Course(held, state)) for part, held in parts], dim=1)
    alone = torch.cat([convolution(part, Course()) for part in x.split([4, 2, 6], dim=1)], dim=1)
    assert_near(found, alone, 1e-12)


def test_the_mean_gate_leaves_padding_out():
    course = Course(torch.tensor([[0, 0, -1]]))
    course.note(3, torch.tensor([[[0.2], [0.4], [9.0]]]))
    assert course.forget[3].item() == pytest.approx(0.3)


@pytest.mark.gpu
def test_flash_linear_attention_gives_the_same_states_and_gradients():
    pytest.importorskip("fla")
    found = {}
    for mode in ("chunk", "fused_recurrent"):
        generator = torch.Generator().manual_seed(0)
        forget, x = (torch.rand(2, 131, 16, generator=generator).cuda() for _ in range(2))
        forget[:, 50] = 0
        start = torch.rand(2, 16, generator=generator).cuda()
        for leaf in (forget, x, start):
            leaf.requires_grad_()
        h, last = scan(forget, x, start, mode)
        (h.sin().sum() + last.sum()).backward()
        forget.grad[:, 50] = 0  # through logarithms a closed gate has no gradient
        found[mode] = (h, last, forget.grad, x.grad, start.grad)
    for one, other in zip(*found.values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
