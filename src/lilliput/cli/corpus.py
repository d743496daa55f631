"""`lilliput corpus`: which sets are known, fetch one, name your own; what else is done with them has its own file."""

from dataclasses import asdict
from typing import Annotated

import typer

from lilliput.cli import corpus_build, corpus_look
from lilliput.cli.corpus_look import Json, options
from lilliput.cli.parsing import group
from lilliput.cli.terminal import note, say_json, say_table

app = group("Text to train on: known sets, and your own.", example="lilliput corpus stats verdict")


@app.command("list")
def list_(json: Json = False) -> None:
    """Every corpus that a recipe may name: size, licence, and whether it is here already.

    Example: lilliput corpus list
    """
    from lilliput.corpus.listing import listing

    rows = [asdict(entry) for entry in listing()]
    if json:
        say_json(rows)
    else:
        columns = ["name", "here", "size", "license", "about"]
        say_table(columns, ([row[column] for column in columns] for row in rows))


@app.command()
def get(name: Annotated[str, typer.Argument(help="a name from `lilliput corpus list`")], json: Json = False) -> None:
    """Download a set, if it is not here, and say where its files lie.

    Example: lilliput corpus get shakespeare
    """
    from lilliput.corpus.listing import files_of, listing

    for entry in listing():
        if entry.name == name and entry.here == "no" and entry.size:
            note(f"{name}: about {entry.size:,} bytes of text from {entry.origin}")
    sizes = {str(path): path.stat().st_size for path in files_of(name)}
    if json:
        say_json([{"path": path, "bytes": size} for path, size in sizes.items()])
    elif sizes:
        say_table(["path", "bytes"], sizes.items())
    else:
        note(f"{name} is made when it is read: it has no files")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="lower-case letters, digits, - and _")],
    path: Annotated[str, typer.Argument(help="a file, a folder or a pattern; .txt or .jsonl, also .gz and .zst")],
    text_column: Annotated[str | None, typer.Option(help="the column of a .jsonl file that holds the text")] = None,
) -> None:
    """Give your own text a name that recipes can use.

    Example: lilliput corpus add diary './diary/*.txt'
    """
    from lilliput.corpus.listing import add as add_corpus

    source = add_corpus(name, path, options(text_column))
    note(f"{name} is {source.label}; use it with data.sources={name}")


for command in (*corpus_build.COMMANDS, *corpus_look.COMMANDS):
    app.command()(command)
