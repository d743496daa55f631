import json

import pytest

from lilliput.runs import metrics
from lilliput.runs.run import Run
from lilliput.runs.sealed import seal
from lilliput.stages import pretrain, shares
from lilliput.stages.begin import train_run
from lilliput.tokens.batches import Batches

WORDS = [
    *["data.sources=tiny", "tokenizer={kind: bytes}", "training.length={steps: 1}", "training.batch_size=1"],
    *["training.micro_batch_size=1", "training.context_length=32", "training.precision=fp32", "training.threads=1"],
    *["rhythm={validate_every: 0}", "model={family: modern, dim: 16, num_layers: 1, num_heads: 2, ffn_dim: 16}"],
]


@pytest.mark.parametrize("words", [[], ["training.activation_checkpointing=true", "training.compile=true"]])
def test_checkpointing_and_compilation_reach_the_model(words, tmp_path, monkeypatch):
    reached = []
    monkeypatch.setattr(pretrain, "checkpoint_activations", lambda model: reached.append("checkpointed"))
    monkeypatch.setattr(pretrain, "compile_model", lambda model: reached.append("compiled"))
    run = Run.begin(str(tmp_path / "run"))
    for _ in train_run(run, "lab/nano", [*WORDS, *words]):
        pass
    run.lock.release()
    assert reached == (["checkpointed", "compiled"] if words else [])


def test_each_value_of_the_recipe_reaches_the_part_that_acts_on_it(tmp_path, monkeypatch):
    seen = {}

    def noting(name, real):
        def call(*args, **options):
            seen[name] = args, options, real(*args, **options)
            return seen[name][2]

        return call

    for name in ("train", "Loader", "build_model", "build_optimizer"):
        monkeypatch.setattr(pretrain, name, noting(name, getattr(pretrain, name)))
    monkeypatch.setattr(shares, "Batches", noting("Batches", Batches))
    words = [
        *["optim={kind: adamw, lr: 2e-3, weight_decay: 0.03, betas: [0.8, 0.9], eps: 1e-7, clip: 0.7}"],
        *["training.batch_size=6", "training.micro_batch_size=3", "data.workers=1", "data.prefetch=5", "seed=11"],
    ]
    run = Run.begin(str(tmp_path / "run"))
    for _ in train_run(run, "lab/nano", [*WORDS, *words]):
        pass
    run.lock.release()
    groups = seen["build_optimizer"][2].param_groups
    assert {(group["peak_lr"], group["betas"], group["eps"]) for group in groups} == {(2e-3, (0.8, 0.9), 1e-7)}
    assert {group["weight_decay"] for group in groups} == {0.0, 0.03}
    stream, loader, loop = (seen[name][1] for name in ("Batches", "Loader", "train"))
    assert (stream["seed"], stream["batch_size"], stream["context_length"]) == (11, 6, 32)
    assert (loader["workers"], loader["prefetch"]) == (1, 5)
    assert (loop["clip"], loop["micro_batch_size"], loop["seed"]) == (0.7, 3, 11)
    assert seen["build_model"][0][2] == 11


@pytest.mark.parametrize("made", ["now", "before weights were shares of tokens"])
def test_a_run_keeps_what_the_weights_of_its_sources_are_shares_of(made, tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path))
    words = [
        *WORDS,
        'data.sources=[{"name": "tales", "size": 3000}, {"name": "tiny", "weight": 2}]',
        "training.batch_size=8",
    ]
    words += ["rhythm.save_every=1", "rhythm.keep=9", "training.length={steps: 6}"]
    digests = {}

    def train(name, word="lab/nano", by_windows=None):
        run = Run.begin(str(tmp_path / name), resume=True)
        if by_windows is not None:
            monkeypatch.setattr(shares, "Batches", lambda *args, **options: Batches(*args, **options | by_windows))
        for _ in train_run(run, word, words if word == "lab/nano" else []):
            pass
        run.lock.release()
        monkeypatch.setattr(shares, "Batches", Batches)
        log = metrics.read(run.metrics.path)
        digests[name] = {record["step"]: record["batch_digest"] for record in log if record["kind"] == "step"}
        return run

    train("tokens")
    old = train("old", by_windows={"by_windows": True})
    assert digests["old"] != digests["tokens"]
    if made != "now":
        facts = json.loads(old.manifest.read_text())
        assert facts.pop("shares") == "tokens"
        old.manifest.write_bytes(seal(facts))
    train("branch", "old@3")
    expected = digests["tokens" if made == "now" else "old"]
    assert digests["branch"] == {step: expected[step] for step in (4, 5, 6)}
    train("twig", "branch@5")
    assert digests["twig"] == {6: expected[6]}
