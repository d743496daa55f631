import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lilliput.corpus.cleaning import Cleaning
from lilliput.corpus.cluster import Plan, run_locally
from lilliput.corpus.duplicates import Duplicates
from lilliput.corpus.filters.length import ShortRule
from lilliput.corpus.near import Near
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.text import TextSource
from lilliput.corpus.split import SplitConfig
from lilliput.runs.home import clean

SEPARATOR = "\n<|endoftext|>\n"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two folders of texts, some short, some equal to earlier ones, some nearly so, some far from all."""
    for source in "ab":
        (tmp_path / source).mkdir()
        for file in range(3):
            texts = []
            for number in range(40):
                words = [f"w{number}x{k}" for k in range(60)]
                kinds = (
                    words,
                    [f"{source}{file}", *words[1:]],
                    [*words[:30], f"{file}{source}", *words[31:]],
                    words[:3],
                )
                texts.append(" ".join(kinds[number % 4]) + ("" if number % 5 else f" {source}{file} " * 20))
            (tmp_path / source / f"{file}.txt").write_text(SEPARATOR.join(texts), "utf-8")
    sources = tuple(TextSource(path=str(tmp_path / name)) for name in "ab")
    cleaning = Cleaning(rules=(ShortRule(min_words=10),), duplicates=Duplicates(near=Near()))
    return Plan(sources, cleaning, Reading(), SplitConfig())


def kept(plan: Plan) -> list[list[tuple[str, str, int | None]]]:
    entries = [list(entry.documents(Reader(Reading()))) for entry in plan.entries()]
    return [[(document.key, document.text, document.group) for document in documents] for documents in entries]


def files() -> dict[str, bytes]:
    return {str(path.relative_to(clean())): path.read_bytes() for path in clean().rglob("*") if path.is_file()}


def test_datatroves_executors_keep_the_documents_that_the_local_engine_keeps(plan, tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "one"))
    expected, here = kept(plan), files()
    reasons = [entry.funnel(plan.reading).dropped for entry in plan.entries()]
    assert all(reasons[1][reason] for reason in ("too short", "exact duplicate", "near-duplicate"))
    assert all(0 < len(documents) < 90 for documents in expected)
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "two"))
    run_locally(plan, workers=2)
    there = files()
    assert there == here
    assert kept(plan) == expected
    assert files() == there


SBATCH = """#!/bin/bash
file="${@: -1}"
last=$(grep -oP -- '--array=0-\\K[0-9]+' "$file")
export SLURM_JOB_ID=1 SLURM_NODELIST=localhost RUN_OFFSET=0
for task in $(seq 0 "${last:-0}"); do SLURM_ARRAY_TASK_ID=$task bash "$file" >> sbatch.log 2>&1 || exit 1; done
echo Submitted batch job 1
"""
SRUN = """#!/bin/bash
while [[ $1 == -* ]]; do if [[ $1 == -n ]]; then shift; fi; shift; done
exec "$@"
"""


@pytest.mark.slow
def test_the_script_for_slurm_that_is_documented_leaves_what_the_local_engine_leaves(plan, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "corpus.md").read_text("utf-8")
    script = next(block for block in page.split("```python\n")[1:] if "SlurmPipelineExecutor" in block).split("```")[0]
    (tmp_path / "slurm.py").write_text(script.replace("tasks=100", "tasks=2"), "utf-8")
    cleaning = "rules: [{kind: short, min_words: 10}], duplicates: {near: {hashes: 16}}"
    sources = ", ".join(f"{{path: {source.path}}}" for source in plan.sources)
    (tmp_path / "my.yaml").write_text(f"data: {{sources: [{sources}], cleaning: {{{cleaning}}}}}", "utf-8")
    (tmp_path / "bin").mkdir()
    for name, body in (("sbatch", SBATCH), ("srun", SRUN), ("scontrol", "#!/bin/bash\necho localhost\n")):
        (tmp_path / "bin" / name).write_text(body, "utf-8")
        (tmp_path / "bin" / name).chmod(0o700)
    places = [str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    source = str(Path(__file__).parents[2] / "src")
    environment = {"PATH": ":".join(places), "PYTHONPATH": source, "LILLIPUT_HOME": str(tmp_path / "there")}
    subprocess.run([sys.executable, "slurm.py"], cwd=tmp_path, env={**os.environ, **environment}, check=True)
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "there"))
    there = files()
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "here"))
    near = Cleaning(rules=plan.cleaning.rules, duplicates=Duplicates(near=Near(hashes=16)))
    assert all(kept(replace(plan, cleaning=near)))
    assert files() == there
