import json
from itertools import islice

import pytest

from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.tales import TalesSource
from lilliput.inference.generate import generate
from lilliput.inference.sampling import SamplingConfig
from lilliput.runs import metrics
from lilliput.runs.run import Run
from lilliput.stages.begin import train_run
from lilliput.stages.opened import open_model
from lilliput.stages.writing import examine

WORDS = [
    *["tokenizer={kind: bytes}", "data.split.validation=0.1", "training.length={epochs: 30}"],
    *["training.context_length=64", "training.batch_size=8", "training.micro_batch_size=8"],
    *["training.precision=fp32", "training.threads=1", "rhythm={log_every: 0, validate_every: 0}"],
    "model={family: gpt2, dim: 64, num_layers: 2, num_heads: 4}",
]
"""`lab/verdict`, small enough for two seconds."""


@pytest.fixture
def story(tmp_path) -> str:
    tale = next(islice(TalesSource(seed=3).documents(Reader(Reading())), 1)).text[:700]
    (tmp_path / "story.txt").write_text(tale, encoding="utf-8")
    return tale


def test_a_story_read_over_and_over_is_learnt_by_heart(story, tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path))
    run = Run.begin("heart")
    for _ in train_run(run, "lab/verdict", [*WORDS, f"data.sources={json.dumps(str(tmp_path / 'story.txt'))}"]):
        pass
    run.lock.release()
    losses = [record["loss"] for record in metrics.read(run.metrics.path) if record["kind"] == "step"]
    tenth = len(losses) // 10
    assert losses[0] > 5
    assert sum(losses[-tenth:]) / tenth < 0.5
    assert sum(losses[:tenth]) > sum(losses[tenth : 2 * tenth]) > sum(losses[-tenth:])

    opened = open_model("heart", "cpu")
    written = generate(opened.model, opened.tokenizer, [story[:60]], SamplingConfig(greedy=True, max_tokens=160))
    assert len(examine(opened, written).verbatim) >= 120
