"""`docs/guides.md` names every promise once, commands that parse, keys that exist and tests that are there."""

import ast
import importlib
import re
import shlex
import tomllib
from functools import cache

import pytest
from docs.generate import ROOT
from typer import Typer
from typer.main import get_command

from lilliput.cli import COMMANDS
from lilliput.config.fields import place
from lilliput.config.reference import entries
from lilliput.runs import run as layout
from lilliput.stages.recipe import Recipe, names, read_recipe

OWNED = {
    "G0": "1 4-5 7-9 12-13 15-26 29-41 44 46 55 58 63 65 67 69-71 73",
    "G1": "1-3 6-7 9-11 16 18-23 27-34 36 41-44 46-47 52-59 71 82",
    "G2": "1-4 7-29 31-57 60-62 66 69-71",
    "G3": "1-8 11-44 46 64-66 68-75 78-81 86-87",
    "G4": "4-7 9-17 19-21 37-38",
}
"""The promises that are owned so far."""

PAGE = (ROOT / "docs" / "guides.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| G\d", line)]
FILES = {value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)}
"""Names of the run directory."""


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


HERE = sorted({span for row in ROWS for span in spans(row[2])})
TESTS = sorted({span for row in ROWS for span in spans(row[3])})
COMMAND_LINES = [span for span in HERE if span.startswith("lilliput ")]
KEYS = [span for span in HERE if re.match(r"'?[a-z_]+(\.\w+)*=", span)]
INSTALLS = [span for span in HERE if span.startswith("pip install ")]
TARGETS = [span for span in HERE if span.startswith("make ")]
IMPORTS = [span for span in HERE if span.startswith("from ")]


def test_each_promise_stands_there_once():
    owned = [
        f"{guide}-{number}"
        for guide, ranges in OWNED.items()
        for first, _, last in (word.partition("-") for word in ranges.split())
        for number in range(int(first), int(last or first) + 1)
    ]
    assert [row[0] for row in ROWS] == owned


def test_each_row_says_what_to_type_what_would_notice_and_whether_it_is_kept():
    for row in ROWS:
        assert len(row) == 5, row[0]
        assert spans(row[2]) and spans(row[3]), row[0]
        assert re.match(r"kept(: .+|; .+)?$|corrected: .+|in part: .+", row[4]), row[0]


def test_what_is_to_be_typed_is_of_a_known_kind():
    known = {*COMMAND_LINES, *KEYS, *INSTALLS, *TARGETS, *IMPORTS}
    assert [span for span in HERE if span not in known and span not in FILES] == []


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_each_command_parses(line):
    _, name, *words = shlex.split(line)
    module, _, attribute = COMMANDS[name][0].partition(":")
    target = getattr(importlib.import_module(module), attribute)
    app = target if isinstance(target, Typer) else Typer(add_completion=False)
    if target is not app:
        app.command(name)(target)
    command = get_command(app)
    if target is app:
        command, words = command.commands[words[0]], words[1:]
    if "--help" in words:
        return
    with command.make_context(name, words) as context:
        given = context.params
    if given.get("recipe") in names():
        read_recipe(given["recipe"], given["overrides"] or [])


def test_each_key_exists_and_takes_its_value():
    known = {entry.key for entry in entries(place(Recipe))}
    tags = {"tokenizer.kind", "schedule.kind", "optim.kind"}
    for span in KEYS:
        words = shlex.split(span)
        assert {word.partition("=")[0] for word in words} <= known | tags, span
        read_recipe("octo/base", words)


def test_what_a_shell_would_take_apart_is_quoted():
    assert [span for span in HERE if re.search(r"[][{}<>;&*?$#]", re.sub(r"'[^']*'|\"[^\"]*\"", "", span))] == []


def test_each_installation_names_extras_that_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {extra for span in INSTALLS for group in re.findall(r"\[(.+)\]", span) for extra in group.split(",")}
    assert extras
    assert extras <= set(project["optional-dependencies"])


def test_each_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert TARGETS
    assert {span.split()[-1] for span in TARGETS} <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_each_name_can_be_imported():
    for span in IMPORTS:
        _, module, _, name = span.split()
        assert hasattr(importlib.import_module(module), name), span


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_test_that_would_notice_is_there():
    named = [name.partition("::") for name in TESTS]
    assert [f"{path}::{test}" for path, _, test in named if test not in functions(path)] == []
