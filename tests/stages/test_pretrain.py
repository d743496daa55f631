import pytest

from lilliput.runs.run import Run
from lilliput.stages import pretrain
from lilliput.stages.begin import train_run

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
