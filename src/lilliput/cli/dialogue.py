"""`generate --interactive`: prompts and slash commands, line by line."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lilliput.cli.terminal import note, say
from lilliput.config.errors import LilliputError

if TYPE_CHECKING:
    from lilliput.inference.sampling import SamplingConfig
    from lilliput.stages.opened import Opened

Tree = dict[str, Any]
Check = Callable[[Tree], "SamplingConfig"]
"""Settings from their values, or a `LilliputError` that says what is wrong with them."""

STOPPED = "stopped by Ctrl-C"


@dataclass(frozen=True)
class Turn:
    """What a command leaves behind."""

    sampling: Tree
    answer: str = ""
    is_over: bool = False


VALUES = {
    "/temp": ("temperature", float),
    "/topk": ("top_k", int),
    "/topp": ("top_p", float),
    "/max": ("max_tokens", int),
    "/rep": ("repetition_penalty", float),
    "/seed": ("seed", int),
}
"""Command -> the setting it changes, and the type of its value."""

HELP = """\
/temp V  temperature     /topk N  top-k, 0 = off     /topp V  top-p, 1 = off
/max N   tokens          /rep V   penalty, 1 = off   /seed N  next seed, then +1
/greedy  most likely     /sample  draw again         /stats   settings and speed
/help    this            /quit    leave (/exit, /q, Ctrl-D); Ctrl-C stops a text"""


def converse(opened: "Opened", sampling: "SamplingConfig", check: Check) -> None:
    """Answer prompts until /quit, Ctrl-D or Ctrl-C; no line ends it by an error."""
    from lilliput.config.load import dump

    with suppress(ImportError):
        import readline  # noqa: F401  (line editing where the system has it)
    tree, last = dump(sampling), "nothing written yet"
    note(f"{opened.name}; /help lists commands, Ctrl-D leaves")
    while (line := _ask()) is not None:
        if line.startswith("/"):
            turn = obey(line, tree, check, last)
            if turn.is_over:
                return
            tree = turn.sampling
            note(turn.answer)
        elif line:
            say(line, end="")
            ended, rate = show(opened, line, check(tree))
            last = f"{rate}; {ended}"
            tree = {**tree, "seed": tree["seed"] + 1}  # the same prompt again writes another text


def show(opened: "Opened", prompt: str, sampling: "SamplingConfig") -> tuple[str, str]:
    """Stream one text to stdout; why it ended, and how fast it was."""
    from lilliput.inference.generate import stream

    start, tokens, ended = time.perf_counter(), 0, STOPPED
    with suppress(KeyboardInterrupt):
        for piece in stream(opened.model, opened.tokenizer, [prompt], sampling):
            say(piece.text, end="")
            sys.stdout.flush()
            tokens, ended = tokens + len(piece.ids), f"ended by {piece.reason}" if piece.reason else ended
    say()
    return ended, speed(tokens, time.perf_counter() - start)


def speed(tokens: int, seconds: float) -> str:
    return f"{tokens} tokens in {seconds:.1f} s, {tokens / max(seconds, 1e-9):.0f} tokens/s"


def obey(line: str, sampling: Tree, check: Check, last: str) -> Turn:
    """Carry out a line that begins with `/`; `last` says how the text before went.

    A value that cannot be is answered in a line and changes nothing.
    """
    word, *given = line.split()
    if word in ("/quit", "/exit", "/q"):
        return Turn(sampling, is_over=True)
    if word in VALUES:
        return _changed(word, given, sampling, check)
    if word == "/greedy":
        return Turn({**sampling, "greedy": True}, "always the most likely token")
    if word == "/sample":
        warm = {} if sampling["temperature"] else {"temperature": 1.0}
        return Turn({**sampling, "greedy": False, **warm}, "drawing tokens by their probability")
    if word == "/stats":
        shown = ", ".join(f"{key} {value}" for key, value in sampling.items())
        return Turn(sampling, f"{shown}; {last}")
    return Turn(sampling, HELP if word == "/help" else f"no such command: {word}; /help lists them")


def _changed(word: str, given: Sequence[str], sampling: Tree, check: Check) -> Turn:
    key, kind = VALUES[word]
    try:
        [text] = given
        changed = {**sampling, key: kind(text)}
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        return Turn(sampling, f"{word} wants {what}, as in {word} {sampling[key]}")
    try:
        check(changed)
    except LilliputError as error:
        return Turn(sampling, error.cause)
    return Turn(changed, f"{key} = {changed[key]}")


def _ask() -> str | None:
    """The next line without its edges; None at the end of the input or on Ctrl-C."""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except (EOFError, KeyboardInterrupt):
        say()
        return None
