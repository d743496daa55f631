import io
import re
import time

import pytest

from lilliput.cli import progress
from lilliput.corpus import watching
from lilliput.stages.events import Finished, Sampled, Saved, Stepped, Told, line

EVENTS = [
    Told("1  the text", "Once."),
    Stepped(
        50, 100, 0.5, 3.25, 1.5, 1e-3, 0.7, {"tokens_per_s": 1234.0, "updates_per_s": 2.0, "micro_steps_per_s": 8.0}
    ),
    Sampled(50, "Once", " [bold]upon\x1b[31m"),
    Saved(100, "final", 0.1),
    Finished(100, 100, "length", 50.0),
]


@pytest.fixture(autouse=True)
def modern(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm-256color")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_than_on_a_terminal_every_event_is_a_line_with_its_time(capsys: pytest.CaptureFixture[str]):
    assert progress.show(EVENTS) == EVENTS[-1]
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", text) for text in lines)
    assert len(lines) == 4
    assert lines[0].endswith(line(EVENTS[1]))
    assert "\x1b" not in shown.err
    assert "Once." in shown.out


def test_on_a_terminal_a_bar_shows_progress_loss_and_speed(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    assert progress.show(EVENTS) == EVENTS[-1]
    shown = terminal.getvalue()
    assert "50/100" in shown
    assert "loss 3.2500" in shown and "1,234 tok/s" in shown and "eta" in shown
    assert "[bold]upon" in shown and "\x1b[31m" not in shown, "a text of the model's is never markup"
    assert "finished at step 100/100" in shown


def test_a_sample_keeps_its_step_above_a_bar_that_is_drawn_again(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    progress.show(EVENTS)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert "step 50 Once [bold]upon" in shown, "in one piece: no control byte erases the step before its text is there"


def test_the_bar_of_a_long_fast_run_shows_its_eta_in_80_columns(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    progress.show([Stepped(123456, 1000000, 0.5, 11.25, 1.5, 1e-3, 0.7, {"tokens_per_s": 1234567.0})])
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue()).split("\r")
    assert any("123456/1000000 eta -:--:--" in row for row in shown)


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "dumb")
    progress.show(EVENTS[1:])
    assert "step 50/100" in terminal.getvalue() and "\x1b" not in terminal.getvalue()


def work(times: int, pause: float = 0.0) -> None:
    with watching.working("cleaning a/folder/with/a/name/that/is/rather/long", files=3) as one:
        for _ in range(times):
            one.finish(1_000, 2_000_000)
            time.sleep(pause)


def test_elsewhere_than_on_a_terminal_long_work_has_a_line_now_and_then_and_at_its_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watching, "EACH", -1.0)
    with progress.preparing():
        work(3)
    assert capsys.readouterr().err == "", "what takes no time has no line"
    monkeypatch.setattr(progress, "EVERY", -1.0)
    with progress.preparing():
        work(3)
    lines = [text[20:] for text in capsys.readouterr().err.splitlines()]
    assert len(lines) == 4
    assert re.fullmatch(r"cleaning a/\S+: 1/3 files · 1,000 documents · 2.0 MB · [\d.]+ MB/s", lines[0])
    assert "3/3 files · 3,000 documents · 6.0 MB" in lines[-1]


def test_on_a_terminal_work_on_text_has_a_bar_in_80_columns_that_goes_with_it(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(watching, "EACH", -1.0)

    def events():
        work(2, pause=0.2)
        yield from EVENTS[1:]

    assert progress.show(events()) == EVENTS[-1]
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue()).replace("\r", "\n").split("\n")
    bars = [row for row in shown if "2/3 files eta" in row or "1/3 files eta" in row]
    assert bars and all("cleaning a/folder" in row and "MB/s" in row and len(row) <= 80 for row in bars)
    assert not any("files" in row and "training" in row for row in shown)
