"""`lilliput config`: check a recipe without running it, and explain what a key may be."""

from typing import Annotated

import typer

from lilliput.cli.parsing import group
from lilliput.cli.terminal import say, say_json

app = group("Check a recipe, explain a key.", example="lilliput config explain optim.lr")


@app.command()
def check(
    recipe: Annotated[str, typer.Argument(help="a recipe's name, or a path ending in .yaml")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE")] = None,
    json: Annotated[bool, typer.Option("--json", help="print the resolved recipe")] = False,
) -> None:
    """Validate a recipe and name every problem at once.

    Example: lilliput config check lab/verdict optim.lr=1e-3
    """
    from lilliput.config.load import dump
    from lilliput.stages.recipe import read_recipe

    resolved = dump(read_recipe(recipe, overrides or []))
    if json:
        say_json(resolved)
    else:
        say(f"{recipe}: this recipe can be run")


@app.command()
def explain(
    key: Annotated[str, typer.Argument(metavar="[KEY]", help="such as `optim.lr`; all keys without one")] = "",
) -> None:
    """What a key may be, its default, and what changing it means to a run that is resumed.

    Example: lilliput config explain optim.lr
    """
    from lilliput.config.reference import explain as explanation
    from lilliput.stages.recipe import Recipe

    say(explanation(Recipe, key))
