"""Pages say what is so: links lead somewhere, and every key, option, file and code they name exists."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from docs.generate import PACKAGE, ROOT
from tests.docs.page import BY_NAME, PAGES, Page

from lilliput.cli import COMMANDS
from lilliput.config import load as config
from lilliput.config.errors import Exit
from lilliput.config.reference import keys
from lilliput.corpus.named import NAMED
from lilliput.corpus.published import PUBLISHED
from lilliput.models import PRESETS
from lilliput.runs import metrics
from lilliput.runs.metrics import CLOCK_KEYS
from lilliput.stages.events import Event
from lilliput.stages.recipe import Recipe, names, recipe_from

SECTIONS = "data|tokenizer|model|optim|schedule|training|rhythm|validation|samples"
KEYS = {entry.key for entry in keys(Recipe)} | {"model.preset", "model.family"}
KEYS |= {f"{section}.kind" for section in ("tokenizer", "optim", "schedule")}
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
OWN = [page for page in PAGES if str(page) != "docs/guides.md"]
"""Pages that speak of Lilliput alone."""

everywhere = pytest.mark.parametrize("page", PAGES, ids=str)
in_our_words = pytest.mark.parametrize("page", OWN, ids=str)


@everywhere
def test_every_link_leads_to_a_page_and_a_heading(page: Page):
    for link in page.links():
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.exists(), link
        assert not anchor or anchor in Page(target).anchors(), link


@in_our_words
def test_every_key_exists(page: Page):
    for span in page.spans():
        found = re.fullmatch(rf"((?:{SECTIONS})(?:\.\w+|\[\])+)(?:=.*)?", span)
        if found and not found[1].endswith((".json", ".jsonl", ".safetensors")):
            assert found[1].removesuffix("[]") in KEYS, f"`{span}`: lilliput config explain lists the keys"


@in_our_words
def test_every_command_and_option_exists(page: Page):
    for span in page.spans():
        if found := re.match(r"lilliput ([a-z]+)", span):
            assert found[1] in COMMANDS, f"`{span}`"
        for option in re.findall(r"(?:^|\s)(--[a-z][a-z-]+)", span) if span.startswith(("lilliput", "--")) else []:
            name = option.removeprefix("--").replace("-", "_")
            assert f'"{option}"' in SOURCES or re.search(rf"^    {name}: Annotated\[", SOURCES, re.MULTILINE), (
                f"`{span}`"
            )


@in_our_words
def test_every_file_of_the_project_exists(page: Page):
    """All but those that a reader is shown how to add."""
    for span in page.spans():
        if (
            "/x" in span
            or span.endswith("cli/count.py")
            or not re.fullmatch(r"(?:[\w-]+/)+[\w.-]+\.(?:py|md|yaml)|(?:tests|docs|src)/[\w/.-]*", span)
        ):
            continue
        assert any((root / span).exists() for root in (ROOT, PACKAGE, ROOT / "docs")), f"`{span}`"


@in_our_words
def test_every_recipe_and_preset_exists(page: Page):
    folders = "|".join(sorted({name.partition("/")[0] for name in PRESETS}))
    for span in page.spans():
        if re.fullmatch(rf"(?:{folders})/\w+", span):
            assert span in PRESETS or span in names(), f"`{span}`"


@in_our_words
def test_every_exit_code_and_environment_variable_exists(page: Page):
    for code in re.findall(r"\b[Ee]xit (?:code )?(\d+)", page.prose):
        assert int(code) in {*map(int, Exit)}, code
    for name in re.findall(r"\bLILLIPUT_[A-Z]+", page.text):
        assert f'"{name}"' in SOURCES, name


@in_our_words
def test_lines_and_tables_are_whole(page: Page):
    rows = [line for line in page.prose.splitlines() if line.startswith("|")]
    assert [row for row in rows if not row.endswith("|")] == []


def test_the_page_of_the_architecture_names_every_event():
    assert {event.__name__ for event in get_args(Event)} <= set(BY_NAME["docs/architecture.md"].spans())


def test_windows_is_told_the_same_on_both_pages():
    [block] = BY_NAME["docs/start.md"].blocks("powershell")
    assert set(block.splitlines()) <= set(BY_NAME["README.md"].spans())


def test_the_annotated_recipe_can_be_run(tmp_path: Path):
    page = BY_NAME["docs/recipe.md"]
    path = tmp_path / "my.yaml"
    path.write_text(page.blocks("yaml")[0], encoding="utf-8")
    recipe = recipe_from(config.merge(config.read(path), []), "docs/recipe.md")
    assert [source.weight for source in recipe.data.sources] == [3, 1]
    assert set(names()) <= set(page.spans())


def test_the_page_of_data_names_every_set_with_its_licence_and_its_local_files():
    page = BY_NAME["docs/data.md"]
    assert set(NAMED) <= set(page.spans())
    for name, published in PUBLISHED.items():
        row = next(line for line in page.text.splitlines() if line.startswith("|") and f"`{name}`" in line)
        assert set(published.license.replace(" and ", ", ").split(", ")) <= set(re.split(r" \| |, ", row)), row
        assert {file.local for file in published.files if file.local} <= set(page.spans())


def test_the_page_of_the_run_directory_names_every_file_and_key(small_run: Path):
    spans = set(re.split(r"[`,\s]+", " ".join(BY_NAME["docs/run-directory.md"].spans())))
    found = {path.name + "/" * path.is_dir() for path in small_run.iterdir()} - {"evals/"}
    assert found <= spans
    checkpoint = sorted((small_run / "checkpoints").iterdir())[-1]
    assert {path.name for path in checkpoint.iterdir()} <= spans
    for path in (small_run / "run.json", small_run / "manifest.json", checkpoint / "state.json"):
        assert set(json.loads(path.read_bytes())) <= spans
    for path in (small_run / "metrics.jsonl", small_run / "samples.jsonl"):
        assert {key for record in metrics.read(path) for key in record} <= spans
    assert set(CLOCK_KEYS) <= spans
