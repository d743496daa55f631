import pytest

from lilliput.cli import main
from lilliput.config.errors import Exit

IMPOSSIBLE = [
    ("tardbot/mac_mini", "model.num_heads=7", "num_heads (7) must divide dim (512); it may be 1, 2, 4, 8"),
    ("tardbot/mac_nano", "model.num_kv_heads=4", "num_kv_heads (4) must divide num_heads (7); it may be 1, 7"),
    ("tardbot/mac_plus", "model.num_kv_heads=6", "num_kv_heads (6) must divide num_heads (11); it may be 1, 11"),
    ("bookcorpus/micro", "model.num_kv_heads=4", "num_kv_heads (4) must divide num_heads (6); it may be 1, 2, 3, 6"),
    ("bookcorpus/micro", "model.num_active_experts=9", "num_active_experts (9) must be at most num_experts (4)"),
    ("simplified/flat", "model.num_heads=7", "num_heads (7) must divide expand_ratio x dim (512); it may be 1, 2, 4"),
    ("simplified/hnet1", "model.dims=[384, 256]", "dims ([384, 256]) may not shrink inwards; it may be [256, 384]"),
    ("simplified/hnet1", "model.dims=[256, 384, 512]", "num_layers ([[4, 0, 4], [8]]) does not fit 3 dims; it may be"),
    ("tardbot/expert_75m", "experts={mode: sequential, active: 6}", "experts.active: 6 is none of the 6 experts"),
    ("tardbot/expert_75m", "experts={mode: sequential, active: -1}", "experts.active: -1 is not possible; it may be"),
]
SMALL = [
    *["data.sources=tiny", "tokenizer={kind: bytes}", "training.length={steps: 1}", "training.batch_size=1"],
    *["training.micro_batch_size=1", "training.context_length=32", "training.precision=fp32", "training.threads=1"],
    "rhythm={validate_every: 0}",
]
SHAPE = "dim: 16, num_layers: 1, num_heads: 2, ffn_dim: 16"


@pytest.mark.parametrize(("recipe", "word", "told"), IMPOSSIBLE)
def test_an_impossible_model_is_refused_with_key_value_and_what_it_may_be(recipe, word, told, capsys):
    assert main(["train", recipe, word, "--dry-run"]) == Exit.RECIPE
    error = capsys.readouterr().err
    assert told in error
    assert "hint: " in error


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A run of a `modern`, in its folder of runs."""
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path))
    assert main(["train", "lab/nano", *SMALL, f"model={{family: modern, {SHAPE}}}", "--run", "first"]) == 0
    return tmp_path


def test_weights_of_another_family_are_refused_before_there_is_a_run(trained, capsys):
    words = ["--from", "first", "--run", "second"]
    assert main(["train", "lab/nano", *SMALL, f"model={{family: llama, {SHAPE}}}", *words]) == Exit.CONTENT
    error = capsys.readouterr().err
    assert "was trained with another family: modern, and this run has llama" in error
    assert "hint: use model.family=modern with the shape of the run it came from" in error
    assert not (trained / "second").exists()


def test_a_run_does_not_go_on_as_another_family(trained, capsys):
    assert main(["train", "first", f"model={{family: llama, {SHAPE}}}", "--resume"]) == Exit.CONTENT
    error = capsys.readouterr().err
    assert "model.family is 'modern' in the run and 'llama' now (fatal)\n" in error
