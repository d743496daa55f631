"""A run that stands for those which the pages speak of."""

from pathlib import Path

import pytest

from lilliput.cli import main

STEP = 2
SMALL = [
    *["data.sources=tiny", "tokenizer={kind: bytes}", "seed=1"],
    *["model={family: modern, dim: 16, num_layers: 1, num_heads: 2, ffn_dim: 16}", "samples.prompts=['A']"],
    *["training.length={steps: 4}", "training.context_length=16", "training.batch_size=2", "training.precision=fp32"],
    *["training.micro_batch_size=2", "training.threads=1"],
    *[f"rhythm={{log_every: 2, validate_every: 2, sample_every: 2, sample_tokens: 4, save_every: {STEP}}}"],
]
"""What makes `lab/shakespeare` a matter of milliseconds."""


TERNARY = "model={family: hgrn_bit, dim: 16, num_layers: 1}"


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, which stands for every run that a page goes on with."""
    return trained(tmp_path_factory.mktemp("small"), SMALL)


@pytest.fixture(scope="session")
def ternary_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of ternary layers, for what only such a one can do."""
    return trained(tmp_path_factory.mktemp("ternary"), [word for word in SMALL if "family" not in word] + [TERNARY])


def trained(root: Path, words: list[str]) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LILLIPUT_HOME", str(root / "home"))
        assert main(["train", "lab/shakespeare", *words, "--run", str(root / "run")]) == 0
    return root / "run"
