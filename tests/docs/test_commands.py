"""Every command of the documentation is tried: small ones run, trainings are planned, and what is too long or needs
more than a machine of its own is parsed against the command line."""

import importlib
import io
import json
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docs.generate import PACKAGE
from tests.conftest import SAMPLE_DATA
from tests.docs.conftest import STEP
from tests.docs.page import BY_NAME, PAGES, Page
from typer.main import get_command

from lilliput.cli import COMMANDS, main
from lilliput.cli.parsing import SETTINGS
from lilliput.corpus.published import PUBLISHED

TEXT = "Once upon a time there was a small model. It read a book, and then another one.\n" * 60
FILE = re.compile(r"[\w./*-]+\.(?:txt|text|md|jsonl|yaml)")


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """`train` takes SIGINT and SIGTERM over for its process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, home and folder of runs; the sample data if there is any."""
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))
    if SAMPLE_DATA.is_dir():
        monkeypatch.setenv("LILLIPUT_DATA", str(SAMPLE_DATA))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


WITH_COMMANDS = [page for page in PAGES if list(page.commands()) and str(page) != "CONTRIBUTING.md"]
"""The worked example of CONTRIBUTING has a test of its own."""


@pytest.fixture
def attempt(
    place: Path,
    small_run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Callable[[list[str]], None]:
    """Tries the words of one command, which has to end well."""

    def one(words: list[str]) -> None:
        make_files(words)
        if is_only_parsed(words):
            parse(words)
            return
        monkeypatch.setattr(sys, "stdin", io.StringIO("Once\n/quit\n"))
        words = with_runs(words, request.getfixturevalue("ternary_run") if words[0] == "export" else small_run)
        if words[0] == "train" and not {"--resume", "--dry-run"} & set(words):
            words = [*words, "--dry-run"]
        assert main(words) == 0, f"lilliput {' '.join(words)}\n{capsys.readouterr().err}"

    return one


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=str)
def test_the_commands_of_a_page_do_what_it_says(page: Page, attempt: Callable[[list[str]], None]):
    for words in page.commands():
        attempt(words)


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_the_examples_of_every_help_do_what_they_say(path: Path, attempt: Callable[[list[str]], None]):
    source = path.read_text(encoding="utf-8")
    for line in re.findall(r"^    Example: lilliput (.*)$", source, re.MULTILINE):
        attempt(shlex.split(line))
    for line in re.findall(r'example="lilliput (.*?)"', source):
        attempt(shlex.split(line))


def make_files(words: list[str]) -> None:
    """The files that a command reads, where the page leaves them to its reader."""
    for name in FILE.findall(" ".join(words)):
        path = Path(name.replace("**", "below").replace("*", "one"))
        if path.is_absolute() or path.exists() or ".." in path.parts:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [json.dumps({"text": f"{number} {TEXT}", "body": f"{number} {TEXT}"}) for number in range(20)]
        content = {".jsonl": "\n".join(rows), ".yaml": BY_NAME["docs/recipe.md"].blocks("yaml")[0]}
        path.write_text(content.get(path.suffix, TEXT), encoding="utf-8")


def is_only_parsed(words: list[str]) -> bool:
    """True for what takes minutes, a network or an accelerator."""
    if words[0] == "tour":
        return True
    if words[0] in ("corpus", "tokenizer"):
        named = set(words) & {*PUBLISHED, "tales"}
        here = {"tiny"} | ({"verdict", "shakespeare"} if SAMPLE_DATA.is_dir() else set())
        return not named <= here or ("gpt2" in words and not SAMPLE_DATA.is_dir())
    return False


def with_runs(words: list[str], small_run: Path) -> list[str]:
    """The command with the runs that it names made, and steps that they have."""
    at = {"generate": 1, "evaluate": 1, "export": 1, "runs": 2, "train": 1 if "--resume" in words else 0}.get(
        words[0], 0
    )
    indices = [at] if at and at < len(words) and words[:2] != ["runs", "list"] else []
    indices += [index + 1 for index, word in enumerate(words) if word == "--from"]
    words = list(words)
    for index in indices:
        name, _, which = words[index].partition("@")
        if not Path("runs", name).exists():
            shutil.copytree(small_run, Path("runs", name))
        words[index] = f"{name}@{STEP}" if which.isdigit() else words[index]
    return words


def parse(words: list[str]) -> None:
    """Words against the command line: command, options and the types of their values."""
    command, *rest = words
    module, _, attribute = COMMANDS[command][0].partition(":")
    target: Any = getattr(importlib.import_module(module), attribute)
    if not hasattr(target, "registered_commands"):
        import typer

        app = typer.Typer(add_completion=False, context_settings=SETTINGS)
        app.command(command)(target)
        target = app
    parsed: Any = get_command(target)
    if hasattr(parsed, "commands"):
        parsed, rest = parsed.commands[rest[0]], rest[1:]
    parsed.make_context(command, rest)


def test_python_blocks_run_in_the_order_of_their_page(place: Path, capsys: pytest.CaptureFixture[str]):
    page = BY_NAME["docs/python.md"]
    names: dict[str, Any] = {}
    for number, block in enumerate(page.blocks("python"), 1):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), names)
    losses, logged = names["losses"], names["logged"]
    assert losses == logged, "the loop by hand and the run are the same training"
    assert losses[-1] < losses[0] - 1
    assert names["run"].state.pinned == (30,)
    assert "from-python@30" in capsys.readouterr().out
