"""The words after a command's name into a call of its function; usage errors in the style of all others."""

from collections.abc import Callable
from typing import Any

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.nearest import did_you_mean

SETTINGS = {"help_option_names": ["--help", "-h"]}


def group(purpose: str, example: str) -> typer.Typer:
    """An app for the commands under one word, such as `runs`."""
    # Rich markup would swallow the brackets of `[KEY=VALUE]...`.
    app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=SETTINGS)
    # With a callback, an app of one command keeps that command's name.
    app.callback(help=f"{purpose}\n\nExample: {example}")(lambda: None)
    return app


def run(name: str, target: Callable[..., Any] | typer.Typer, words: list[str]) -> int:
    """Call a command's function, or the one of its app that the words name; its return value is the exit code."""
    if isinstance(target, typer.Typer):
        app = target
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=SETTINGS)
        app.command(name)(target)
    command = get_command(app)
    try:
        with command.make_context(f"lilliput {name}", words) as context:
            result = command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except TyperException as error:
        raise _usage(name, error) from None
    return result if isinstance(result, int) else 0


def _usage(name: str, error: Any) -> LilliputError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else f"lilliput {name}"
    message = str(error.format_message()).rstrip(".")
    option = getattr(error, "option_name", None)
    if option is not None and context is not None and message.startswith("No such option"):
        known = [word for parameter in context.command.params for word in parameter.opts]
        message = f"no such option: {option}{did_you_mean(option, known)}"
        if any(parameter.name == "overrides" for parameter in context.command.params):
            message += "; a setting is a word, such as optim.lr=1e-3"
    message = message.replace(". Did you mean ", "; did you mean ").replace("'", "")
    return LilliputError(f"{path}: {message[:1].lower()}{message[1:]}", f"`{path} --help` shows the usage", Exit.USAGE)
