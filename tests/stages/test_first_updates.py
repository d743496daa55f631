"""The first hundred updates of the guide's mixture of experts, on real books and articles."""

from pathlib import Path

import pytest

from lilliput.runs import metrics
from lilliput.runs.run import Run
from lilliput.stages.begin import train_run
from lilliput.stages.events import Stepped

UPDATES = 100


@pytest.mark.slow
def test_the_smallest_mixture_begins_at_the_vocabularys_entropy_and_falls_to_between_9_and_10_nats(
    sample_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    books, articles = sample_data / "books" / "*.txt", sample_data / "wikitext2" / "valid.txt"
    sources = f"[{{path: '{books}', weight: 0.6}}, {{path: '{articles}', divide: articles, weight: 0.4}}]"
    words = [
        *[f"data.sources={sources}", "data.invalid_utf8=skip", "validation.sources=[]"],
        "rhythm={log_every: 5, validate_every: 0}",
        # what a CPU takes for granted, and a run as long as the recipe's, whose warm-up takes 2,000 updates
        *["training.context_length=128", "training.batch_size=8", "training.micro_batch_size=2"],
        *["training.precision=fp32", "training.threads=1", "training.length={steps: 40_000}"],
    ]
    run = Run.begin(str(tmp_path / "run"))
    events = train_run(run, "bookcorpus/micro", words)
    for event in events:
        if isinstance(event, Stepped) and event.step >= UPDATES:
            break
    events.close()
    run.lock.release()
    steps = [record for record in metrics.read(run.metrics.path) if record["kind"] == "step"]
    losses = [record["loss"] for record in steps]
    assert len(losses) == UPDATES
    assert 10.3 < losses[0] < 11.3  # ln 50,257 is 10.8
    assert 9 < min(losses) < 10
    assert all(record["aux.balance"] > 0 for record in steps)
