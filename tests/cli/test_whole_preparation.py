"""From the hub to a trained model in the order of a guide: get, tokenizer train, build --delete-raw, train."""

import json
import shutil
from pathlib import Path

import pytest
from tests.loopback_hub import fixture_rows, hold_fixtures, parquet

from lilliput.cli import main
from lilliput.runs.home import downloads, shards

RECIPE = """
data:
  sources:
    - {name: fineweb, rules: [{kind: short, min_words: 20}]}
    - {name: wikipedia}
    - {name: stackexchange}
    - {name: github, rules: []}
  cleaning:
    rules: [encoding]
    duplicates: {near: true}
    perplexity: {reference: tiny, keep: 0.9}
  split: {kind: hash, validation: 0.0}
tokenizer: {kind: hub, name: mine}
model: {family: modern, dim: 16, num_layers: 1, num_heads: 2, ffn_dim: 32}
training: {length: {steps: 2}, context_length: 32, batch_size: 2, device: cpu}
"""
NAMES = ["fineweb", "wikipedia", "stackexchange", "github"]


@pytest.fixture
def prepared(loopback_hub, sample_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LILLIPUT_RUNS", str(tmp_path / "runs"))
    hold_fixtures(loopback_hub, sample_data / "hf_schema_fixtures")
    rows = fixture_rows(sample_data / "hf_schema_fixtures" / "HuggingFaceFW__fineweb__train.jsonl")
    sample = {"sample-10BT": {"train": "sample/10BT/*"}}
    loopback_hub.hold("HuggingFaceFW/fineweb", {"sample/10BT/000_00000.parquet": parquet(rows)}, sample)
    (tmp_path / "mine.yaml").write_text(RECIPE, "utf-8")

    def run(*words: str) -> tuple[str, str]:
        code = main(list(words))
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out, printed.err

    return loopback_hub, run, str(tmp_path / "mine.yaml")


def raw_files() -> list[Path]:
    return [path for path in downloads().rglob("*") if path.is_file() and path.name != "record.json"]


def test_get_tokenizer_build_and_training_from_shards_alone(prepared, tmp_path):
    hub, run, recipe = prepared
    run("corpus", "get", *NAMES, "--samples", "2000")
    asked, files = len(hub.asked), raw_files()
    assert len(files) == 4
    run("corpus", "get", *NAMES, "--samples", "2000")
    assert [path for _, path in hub.asked[asked:] if "resolve" in path] == []
    run("tokenizer", "train", "fineweb", "--size", "300", "--output", "mine")
    out, err = run("corpus", "build", recipe, "--delete-raw", "--explain")
    assert "of downloaded files removed" in err
    assert raw_files() == []
    assert "perplexity above the quantile" in out
    manifests = [json.loads(path.read_text("utf-8")) for path in shards().glob("*/manifest.json")]
    assert len(manifests) == 4
    assert all(manifest["files"]["tokens.bin"]["sha256"] and manifest["provenance"]["text"] for manifest in manifests)
    asked, made = len(hub.asked), sorted(shards().iterdir())
    shutil.rmtree(tmp_path / "home" / "clean")
    run("train", recipe, "--run", "first")
    assert (len(hub.asked), sorted(shards().iterdir())) == (asked, made)


def test_files_of_ones_own_are_never_deleted(prepared, tmp_path):
    _, run, _ = prepared
    own = tmp_path / "own.txt"
    own.write_text("a text of one's own, and enough of it to be divided into two parts", "utf-8")
    _, err = run("corpus", "build", str(own), "--delete-raw")
    assert "nothing to remove" in err
    assert own.exists()
