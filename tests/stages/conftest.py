"""A small run on disk, as training leaves one, made without training."""

from pathlib import Path

import pytest

from lilliput.config.load import dump
from lilliput.models.weights import build_model
from lilliput.optim import build_optimizer
from lilliput.runs.run import Run
from lilliput.stages.recipe import Recipe, recipe_from
from lilliput.tokens.bytes import ByteTokenizer
from lilliput.training import checkpoint


def recipe(**changes) -> Recipe:
    tree = {
        "data": {"sources": "tiny", "split": {"kind": "tail", "validation": 0.3, "test": 0.3}},
        "model": {"family": "modern", "dim": 16, "num_layers": 1, "num_heads": 2, "ffn_dim": 16},
        "training": {"length": {"epochs": 1.0}, "context_length": 24, "batch_size": 2},
    }
    return recipe_from({**tree, **changes}, "a test")


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a run of the name `small` with checkpoints of two steps, and returns it."""
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path / "runs"))

    def make(**changes) -> Run:
        chosen, tokenizer, run = recipe(**changes), ByteTokenizer(), Run.begin("small")
        tokenizer.save(run.tokenizer)
        run.write_config(dump(chosen))
        run.write_manifest()
        for step in (1, 2):
            model = build_model(chosen.model, tokenizer.size, seed=step)
            optimizer = build_optimizer(model, chosen.optim)
            run.commit(step, checkpoint.contents(step, model, optimizer, {}, tokenizer=tokenizer.fingerprint))
        run.lock.release()
        return run

    return make
