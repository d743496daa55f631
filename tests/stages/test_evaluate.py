import json
import math

import pytest
import torch

from lilliput.config.errors import Exit, LilliputError
from lilliput.nn.loss import token_nats
from lilliput.stages.evaluate import evaluate
from lilliput.stages.opened import open_model
from lilliput.stages.prepare import prepare
from lilliput.tokens.batches import validation_batches


def test_figures_are_those_of_every_target_of_the_validation_part(finished):
    finished()
    [found] = evaluate("small", orders=[2], device="cpu")
    opened = open_model("small", "cpu")
    text = prepare(opened.recipe.data, opened.recipe.validation, opened.tokenizer).validation["validation"]
    nats = 0.0
    for batch in validation_batches(text, 24, 3, opened.tokenizer.lengths()):
        tokens, targets, mask, documents = map(
            torch.from_numpy, (batch.tokens, batch.targets, batch.mask, batch.documents)
        )
        features = opened.model(tokens, documents=documents).features
        nats += token_nats(opened.model.head, features, targets, mask).double().sum().item()
    assert found.report.targets == text.num_targets
    assert found.report.bytes == text.bytes
    assert found.report.loss.value == pytest.approx(nats / text.num_targets)
    assert found.report.bpb.value == pytest.approx(nats / math.log(2) / text.bytes)


def test_baselines_are_fitted_on_the_training_part_and_measured_on_the_same_text(finished):
    finished()
    [found] = evaluate("small", orders=[1, 3], device="cpu")
    opened = open_model("small", "cpu")
    data = prepare(opened.recipe.data, opened.recipe.validation, opened.tokenizer)
    assert [baseline.name for baseline in found.baselines] == ["uniform", "1-gram", "3-gram"]
    assert f"{sum(shard.bytes for shard in data.train):,} bytes" in found.baselines[1].note
    assert found.baselines[1].bpb.value < found.baselines[0].bpb.value


def test_results_are_kept_in_the_run_and_measured_again_they_are_the_same(finished):
    run = finished()
    [first] = evaluate("small@1", orders=[], device="cpu")
    kept = json.loads((run.evals / "validation-step-00000001.json").read_text(encoding="utf-8"))
    assert kept["report"]["loss"]["value"] == first.report.loss.value
    assert kept["model"] == "small@1"
    [again] = evaluate("small@1", orders=[], device="cpu")
    assert again.report.loss == first.report.loss


def test_a_run_without_a_test_part_says_so(finished):
    finished(data={"sources": "tiny", "split": {"kind": "tail", "validation": 0.3}})
    with pytest.raises(LilliputError, match=r"small kept no text for a test: `data.split.test` was 0"):
        list(evaluate("small", part="test", orders=[], device="cpu"))


def test_the_test_part_and_other_text_can_be_measured_too(finished, tmp_path):
    finished()
    other = tmp_path / "other.txt"
    other.write_text("Text that the run has never seen, and more of it. " * 9, encoding="utf-8")
    [test] = evaluate("small", part="test", orders=[], device="cpu")
    [foreign] = evaluate("small", data=[str(other)], orders=[], device="cpu")
    assert test.text == "test"
    assert foreign.report.bytes == len(other.read_bytes())
    assert test.report.bytes != foreign.report.bytes


def test_a_limit_of_batches_limits_the_windows(finished):
    finished()
    [found] = evaluate("small", orders=[], max_batches=1, device="cpu")
    assert found.report.windows <= 8


def test_the_entropy_of_tales_is_the_floor(finished):
    finished(data={"sources": [{"name": "tales", "max_samples": 40}]})
    [found] = evaluate("small", orders=[3], device="cpu")
    floor = found.baselines[-1]
    assert floor.name == "entropy"
    assert 0.4 < floor.bpb.value < 1.0
    assert floor.bpb.value < found.baselines[1].bpb.value < found.report.bpb.value


def test_with_a_limit_baselines_read_only_the_documents_that_the_windows_reach(finished):
    finished(data={"sources": [{"name": "tales", "max_samples": 40}]})
    [whole] = evaluate("small", orders=[], device="cpu")
    [limited] = evaluate("small", orders=[], max_batches=1, device="cpu")
    [as_much] = evaluate("small", orders=[], max_batches=10_000, device="cpu")
    assert limited.report.windows < whole.report.windows
    assert limited.baselines[-1].bpb.value != whole.baselines[-1].bpb.value == as_much.baselines[-1].bpb.value


def test_a_run_without_held_out_text_says_what_to_do(finished):
    finished(data={"sources": "tiny", "split": {"kind": "tail", "validation": 0.0}})
    with pytest.raises(LilliputError, match="validation") as error:
        next(evaluate("small", device="cpu"))
    assert error.value.code is Exit.MISSING
