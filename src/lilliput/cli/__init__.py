"""The command line: one lazily imported file per command, every failure one line of cause and one of action.

A command is one file and one line: `cli/x.py` with a function (or a `typer.Typer` app with several), and its line in
`COMMANDS`. A command's file imports nothing heavy at module level (no torch): it parses, calls one function of a stage
or a room, and prints with `cli/terminal.py`. It may return an `Exit`; its docstring ends with an example.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from lilliput import __version__
from lilliput.config.errors import Exit, LilliputError
from lilliput.config.nearest import did_you_mean

COMMANDS = {
    "tour": ("lilliput.cli.tour:tour", "everything once, in three minutes, without a network"),
    "doctor": ("lilliput.cli.doctor:doctor", "look at this machine and at what is installed"),
    "corpus": ("lilliput.cli.corpus:app", "text to train on: get, add, build, count it and look into it"),
    "tokenizer": ("lilliput.cli.tokenizer:app", "train a tokenizer on a corpus, compare several"),
    "train": ("lilliput.cli.train:train", "train a recipe, or go on where a run stopped"),
    "evaluate": ("lilliput.cli.evaluate:evaluate", "measure a model on held-out text, beside n-grams"),
    "generate": ("lilliput.cli.generate:generate", "let a model write"),
    "export": ("lilliput.cli.export:export", "write a model for use elsewhere"),
    "runs": ("lilliput.cli.runs:app", "list runs with their status, show one, verify every byte of one"),
    "models": ("lilliput.cli.models:app", "list the presets, count what a model holds"),
    "config": ("lilliput.cli.config:app", "check a recipe, explain a key"),
}
"""Name -> `module:attribute` and what it does, in the order of a model's life."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing is raised."""
    # Torch's threads spin while they wait: on a machine with other work, updates took 20 times as long.
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or os.environ.get("LILLIPUT_DEBUG") == "1"
    words = [word for word in words if word != "--debug"]
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has gone: the interpreter's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        return _report(error)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h"):
        sys.stdout.write(_help())
        return 0
    if words[0] == "--version":
        sys.stdout.write(f"lilliput {__version__}\n")
        return 0
    name, *rest = words
    if name not in COMMANDS:
        what = "option" if name.startswith("-") else "command"
        cause = f"no such {what}: {name}{did_you_mean(name, COMMANDS)}"
        raise LilliputError(cause, "`lilliput --help` lists the commands", Exit.USAGE)
    module, _, attribute = COMMANDS[name][0].partition(":")
    from lilliput.cli.parsing import run

    return run(name, getattr(importlib.import_module(module), attribute), rest)


def _help() -> str:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:<{width}}  {line}" for name, (_, line) in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: lilliput COMMAND [WORDS]...",
            "",
            "A laboratory for small language models: from text to a trained, measured model.",
            "",
            "Commands, in the order of a model's life:",
            *lines,
            "",
            "Options:",
            "  --help     this text; after a command, that command's own",
            "  --version  the version",
            "  --debug    show a fault's traceback (also LILLIPUT_DEBUG=1)",
            "",
            "Example: lilliput doctor",
            "",
        ]
    )


def _report(error: BaseException) -> int:
    """Say what went wrong on stderr, and the exit code it stands for."""
    from lilliput.cli.terminal import printable

    failed = failure(error)
    if failed is None:
        sys.stderr.write("stopped\n")
        return Exit.INTERRUPTED
    for cause in failed.cause.split("\n"):
        sys.stderr.write(f"error: {printable(cause)}\n")
    sys.stderr.write(f"hint: {printable(failed.action)}\n")
    return failed.code


def failure(error: BaseException) -> LilliputError | None:
    """Any exception as a cause and an action; None for Ctrl-C."""
    if isinstance(error, LilliputError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return None
    reason = (str(error).splitlines() or [""])[0]
    if isinstance(error, OSError):
        from lilliput.runs.durable import explain

        return explain(error)
    if _is_out_of_memory(error, reason):
        return LilliputError(
            "out of memory",
            "set training.activation_checkpointing=true, or a smaller training.micro_batch_size or model",
            Exit.MEMORY,
        )
    cause = f"a fault in lilliput: {type(error).__name__}: {reason}"
    return LilliputError(cause, "run again with --debug and report what it shows", Exit.BUG)


def _is_out_of_memory(error: Any, reason: str) -> bool:
    # Torch's own error classes, recognised without importing torch.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in reason)
    )
