"""`lilliput export`: write a trained model for use elsewhere."""

from typing import Annotated

from typer import Argument, Option

from lilliput.cli.terminal import say
from lilliput.config.errors import Exit, LilliputError


def export(
    model: Annotated[str, Argument(help="a run, `run@best`, `run@500`, or a checkpoint's folder")],
    to: Annotated[str, Option(help="ternary: four weights to a byte, for models of ternary layers")] = "ternary",
) -> None:
    """Write a model into its run's exports; `lilliput generate` takes the folder's path.

    Example: lilliput export simplified-flat@best --to ternary
    """
    if to != "ternary":
        raise LilliputError(f"--to: {to} is no form", "it may be ternary", Exit.USAGE)
    from lilliput.stages.export import export_ternary

    found = export_ternary(model)
    ratio = found.fp32_bytes / found.bytes
    say(f"weights   {found.bytes / 1e6:,.2f} MB; {found.fp32_bytes / 1e6:,.2f} MB in fp32, {ratio:.1f} times as much")
    fast, slow = found.speed.per_second, found.fp32_speed.per_second
    say(f"decoding  {fast:,.0f} tokens per second; {slow:,.0f} in fp32, {fast / slow:.2f} times as fast")
    say(f"written to {found.path}")
    say(f'try       lilliput generate {found.path} --prompt "Once"')
