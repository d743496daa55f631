import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from lilliput.config.errors import LilliputError
from lilliput.evals.run import evaluate
from lilliput.models.contract import LanguageModel, Output
from lilliput.tokens.batch import Batch


class Echo(LanguageModel):
    """Says: the next token is the one just read, `sure` times surer than of any other."""

    def __init__(self, vocab_size: int, sure: float) -> None:
        super().__init__()
        self.vocab_size, self.sure, self.seen = vocab_size, sure, []
        self.head = nn.Linear(vocab_size, vocab_size, bias=False)
        nn.init.eye_(self.head.weight)

    def forward(self, tokens, *, documents=None, state=None):
        assert not self.training
        self.seen.append(documents.numpy())
        return Output(nn.functional.one_hot(tokens, self.vocab_size).float() * math.log(self.sure))


def batch(rows: int = 6, time: int = 8, vocab_size: int = 10, seed: int = 0) -> Batch:
    draw = np.random.default_rng(seed)
    tokens = draw.integers(vocab_size, size=(rows, time))
    targets = np.where(draw.random((rows, time)) < 0.5, tokens, (tokens + 1) % vocab_size)
    mask = draw.random((rows, time)) < 0.7
    return Batch(tokens, targets, mask, np.zeros((rows, time), np.int32), 3 * mask.sum(axis=1))


def test_figures_equal_the_definition_by_the_book():
    model, given = Echo(10, sure=9.0), batch()
    report = evaluate(model, [given])
    right, count = int((given.mask & (given.tokens == given.targets)).sum()), int(given.mask.sum())
    nats = -right * math.log(9 / 18) - (count - right) * math.log(1 / 18)
    assert report.loss.value == pytest.approx(nats / count)
    assert report.ppl.value == pytest.approx(math.exp(nats / count))
    assert report.bpb.value == pytest.approx(nats / math.log(2) / (3 * count))
    assert report.accuracy.value == right / count
    assert (report.targets, report.bytes, report.windows) == (count, 3 * count, 6)
    assert report.loss.low < report.loss.value < report.loss.high


def test_figures_do_not_depend_on_how_windows_are_batched():
    model, given = Echo(10, sure=9.0), batch()
    whole, split = evaluate(model, [given]), evaluate(model, given.split(4))
    assert dataclasses.replace(whole, seconds=0) == dataclasses.replace(split, seconds=0)


def test_a_sure_model_is_right_and_top5_holds_top1():
    given = batch()
    same = Batch(given.tokens, given.tokens, given.mask, given.documents, given.bytes)
    report = evaluate(Echo(10, sure=1e6), [same])
    assert report.accuracy.value == report.top5.value == 1.0
    assert evaluate(Echo(10, sure=9.0), [given]).top5.value >= evaluate(Echo(10, sure=9.0), [given]).accuracy.value


def test_documents_reach_the_model_and_its_training_mode_comes_back():
    model = Echo(10, sure=9.0)
    model.train()
    evaluate(model, batch().split(2))
    assert [len(documents) for documents in model.seen] == [2, 2, 2]
    assert model.training


def test_global_random_state_is_left_alone():
    model = Echo(10, sure=9.0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    evaluate(model, [batch()])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_without_resamples_there_are_no_intervals():
    assert evaluate(Echo(10, sure=9.0), [batch()], resamples=0).loss.low is None


def test_a_report_is_plain_data():
    assert json.loads(json.dumps(dataclasses.asdict(evaluate(Echo(10, sure=9.0), [batch()]))))["windows"] == 6


def test_nothing_to_evaluate_is_an_error_with_a_way_out():
    with pytest.raises(LilliputError, match="no text"):
        evaluate(Echo(10, sure=9.0), [])
