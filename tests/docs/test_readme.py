import re
from pathlib import Path

import pytest
from docs.generate import ROOT

from lilliput.cli import main

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_make_target_of_the_page_exists():
    named = set(re.findall(r"(?:^|`)make (?:TORCH=cpu )?([a-z]+)\b", README, re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_training_on_ones_own_text_is_planned_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (line,) = re.findall(r"^\.venv/bin/lilliput (train .*)$", README, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    Path("my-book.txt").write_text("Once upon a time there was a small model.\n" * 4000, encoding="utf-8")
    assert main([*line.split(), "--dry-run"]) == 0, capsys.readouterr().err
    assert not Path("runs").exists()


def test_every_table_row_ends_and_every_link_leads_somewhere():
    rows = [line for line in README.splitlines() if line.startswith("|")]
    assert [row for row in rows if not row.endswith("|")] == []
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links and [link for link in links if not (ROOT / link).exists()] == []
