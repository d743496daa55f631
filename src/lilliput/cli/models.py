"""`lilliput models`: the presets, and what a model of one holds."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.parsing import group
from lilliput.cli.terminal import note, say, say_json, say_table

if TYPE_CHECKING:
    from lilliput.models.presets import Summary

app = group("The presets, and what a model of one holds.", example="lilliput models show modern/10m")

Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]


@app.command("list")
def list_presets(json: Json = False) -> None:
    """Every preset with its parameters at its nominal vocabulary.

    Example: lilliput models list
    """
    from lilliput.models import PRESETS
    from lilliput.models.presets import summary

    found = [summary(name) for name in PRESETS]
    if json:
        say_json([_facts(one) for one in found])
        return
    headings = ["name", "family", "total", "active", "embedding", "other", "vocabulary"]
    say_table(headings, [[one.name, one.family, *_millions(one), one.vocab_size] for one in found])
    note("parameters in millions; `lilliput models show NAME` has them to the last one, and memory and operations")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="a preset, such as lab/nano")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="as in a recipe")] = None,
    vocabulary: Annotated[int | None, typer.Option(min=1, help="tokens to count with; default: the nominal")] = None,
    json: Json = False,
) -> None:
    """Settings, parameters, memory and operations of a preset's model, with changes; nothing is allocated.

    Example: lilliput models show octo/base model.num_layers=8 --vocabulary 16000
    """
    from lilliput.models.presets import summary

    found = _facts(summary(name, overrides or [], vocabulary))
    if json:
        say_json(found)
        return
    say(f"{found['name']}  {found['note']}".rstrip())
    for key, value in found["model"].items():
        say(f"  model.{key} = {'null' if value is None else str(value).lower() if isinstance(value, bool) else value}")
    say(f"  vocabulary {found['vocab_size']:,}")
    for key, value in found["parameters"].items():
        say(f"  {key.replace('_', '-')} parameters {value:,}")
    for dtype, size in found["weight_bytes"].items():
        say(f"  weights in {dtype} {size / 1e6:,.1f} MB")
    say(f"  operations per token, forward {found['flops_per_token']:,}")


def _millions(one: "Summary") -> list[float]:
    return [round(count / 1e6, 1) for count in asdict(one.counts).values()]


def _facts(one: "Summary") -> dict[str, Any]:
    from lilliput.config.load import dump

    return {
        "name": one.name,
        "note": one.note,
        "model": dump(one.config),
        "vocab_size": one.vocab_size,
        "parameters": asdict(one.counts),
        "weight_bytes": {"float32": one.bytes(4), "bfloat16": one.bytes(2)},
        "flops_per_token": one.flops,
    }
