import errno
import os
import subprocess
import sys

import pytest

from lilliput import cli
from lilliput.config.errors import Exit, LilliputError

# A command of the tests: `COMMANDS` finds it by this module's name.
RAISED: list[BaseException] = []


def fail() -> None:
    """Fail.

    Example: lilliput fail
    """
    raise RAISED.pop()


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "lilliput_fail", sys.modules[__name__])
    monkeypatch.setitem(cli.COMMANDS, "fail", ("lilliput_fail:fail", "fail"))

    def run(error: BaseException, *flags: str) -> tuple[int, str]:
        RAISED.append(error)
        code = cli.main(["fail", *flags])
        captured = capsys.readouterr()
        assert captured.out == ""
        return code, captured.err

    return run


def test_a_failure_is_a_cause_an_action_and_its_code(ending):
    code, text = ending(LilliputError("the disk is full", "free some", Exit.DISK_FULL))
    assert (code, text) == (28, "error: the disk is full\nhint: free some\n")


def test_each_of_several_problems_is_a_line_of_its_own(ending):
    error = LilliputError("a: no such key\nb: missing", "look", Exit.RECIPE)
    assert ending(error)[1] == "error: a: no such key\nerror: b: missing\nhint: look\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "runs/a"), Exit.DISK_FULL),
        (OSError(errno.EDQUOT, "Quota exceeded", "runs/a"), Exit.DISK_FULL),
        (PermissionError(errno.EACCES, "Permission denied", "runs/a"), Exit.IO),
        (MemoryError(), Exit.MEMORY),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (ZeroDivisionError("division by zero"), Exit.BUG),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_other_exception_has_a_code_and_no_traceback(ending, error: BaseException, code: int):
    ended, text = ending(error)
    assert ended == code and "Traceback" not in text
    if isinstance(error, OSError) and error.filename:
        assert text.startswith("error: runs/a: ")


def test_the_traceback_is_shown_on_request(ending, monkeypatch: pytest.MonkeyPatch):
    assert "Traceback" in ending(ZeroDivisionError("division by zero"), "--debug")[1]
    monkeypatch.setenv("LILLIPUT_DEBUG", "1")
    assert "ZeroDivisionError" in ending(ZeroDivisionError("division by zero"))[1]


def test_a_terminal_escape_in_a_cause_is_spelled_out(ending):
    assert "\x1b" not in ending(LilliputError("a\x1b[2Jb", "look", Exit.CONTENT))[1]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["dcotor"], "error: no such command: dcotor; did you mean doctor?"),
        (["--verson"], "error: no such option: --verson"),
        (["doctor", "--jsn"], "error: lilliput doctor: no such option: --jsn; did you mean --json?"),
        (
            ["models", "show", "--dim", "8"],
            "error: lilliput models show: no such option: --dim; a setting is a word, such as optim.lr=1e-3",
        ),
        (["config", "chek"], "error: lilliput config: no such command chek; did you mean check?"),
        (["config", "check"], "error: lilliput config check: missing argument recipe"),
        (["doctor", "now"], "error: lilliput doctor: got unexpected extra argument(s) (now)"),
    ],
)
def test_a_wrong_word_is_a_usage_error_with_the_nearest_right_one(words, line, capsys: pytest.CaptureFixture[str]):
    assert cli.main(words) == Exit.USAGE
    assert capsys.readouterr().err.splitlines()[0] == line


def test_a_reader_that_goes_away_is_no_failure():
    path = os.pathsep.join(path for path in sys.path if path)
    child = subprocess.Popen(
        [sys.executable, "-m", "lilliput", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    error = child.stderr.read()
    child.stderr.close()
    assert (child.wait(), error) == (0, b"")
