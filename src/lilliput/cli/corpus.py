"""`lilliput corpus`: which sets are known, fetch one, name your own; what else is done with them has its own file."""

import textwrap
from dataclasses import asdict
from typing import Annotated

import typer

from lilliput.cli import corpus_build, corpus_look
from lilliput.cli.corpus_look import Json, end_of, options
from lilliput.cli.parsing import group
from lilliput.cli.terminal import note, say_json, say_table

NAME, ABOUT = 18, 40
"""Columns of a name, and of a line of what is said about it: 80 with the two between them."""

app = group("Text to train on: known sets, and your own.", example="lilliput corpus stats verdict")


@app.command("list")
def list_(json: Json = False) -> None:
    """Every corpus that a recipe may name: size, licence, and whether it is here already.

    Example: lilliput corpus list
    """
    from lilliput.corpus.files import amount
    from lilliput.corpus.listing import listing

    entries = listing()
    if json:
        say_json([asdict(entry) for entry in entries])
        return
    rows: list[list[str]] = []
    for entry in entries:
        first, *more = textwrap.wrap(f"{entry.about} · {entry.license}", ABOUT, break_on_hyphens=False)
        size = "" if entry.size is None else f"{amount(entry.size):>9}"
        rows.append([end_of(entry.name, NAME), entry.here, size, first])
        rows += [["", "", "", line] for line in more]
    say_table(["name", "here", "size", "about · licence"], rows)


@app.command()
def get(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="names from the list, or OWNER/SET of the hub")],
    samples: Annotated[int | None, typer.Option(min=1, help="only so many documents of each set of the hub")] = None,
    subset: Annotated[str | None, typer.Option(help="which subset of a set of the hub")] = None,
    split: Annotated[str | None, typer.Option(help="which split of it")] = None,
    text_column: Annotated[str | None, typer.Option(help="the column that holds its text")] = None,
    json: Json = False,
) -> None:
    """Download sets, if they are not here, and say where their files lie; what does not fit is refused first.

    Example: lilliput corpus get openwebtext wikipedia --samples 20000
    """
    from lilliput.corpus.files import amount
    from lilliput.corpus.getting import Announced, free_space
    from lilliput.corpus.getting import get as get_corpora
    from lilliput.runs import stop

    stop.install()
    given = {"subset": subset, "split": split, "text_column": text_column}
    files = []
    for event in get_corpora(names, samples, {key: value for key, value in given.items() if value is not None}):
        if not isinstance(event, Announced):
            files.append(event)
            if event.is_new:
                rows = f", rows: {event.rows:,}" if event.rows is not None else ""
                note(f"{event.name}: {event.path.name}, {amount(event.size)}{rows}")
        elif event.size != 0:
            takes = "of unknown size" if event.size is None else f"about {amount(event.size)}"
            note(f"{event.name}: {takes} from {event.origin}; {amount(free_space())} are free")
        else:
            note(f"{event.name} is here")
    if json:
        say_json([{"name": file.name, "path": str(file.path), "bytes": file.size} for file in files])
    elif files:
        say_table(["name", "bytes", "path"], ((file.name, file.size, str(file.path)) for file in files))
    else:
        note(f"{', '.join(names)}: made when read, without files")


@app.command()
def cache(
    clear: Annotated[list[str] | None, typer.Option(metavar="NAME", help="remove it; may be given again")] = None,
    json: Json = False,
) -> None:
    """What was downloaded and prepared, with its size; --clear removes it, and it is made again when needed.

    Example: lilliput corpus cache
    """
    from lilliput.corpus.cache import clear as clear_held
    from lilliput.corpus.cache import held
    from lilliput.corpus.files import amount

    for gone in clear_held(clear or ()):
        note(f"{gone.name}: {amount(gone.bytes)} removed")
    kept = held()
    if json:
        say_json([{"name": each.name, "what": each.what, "files": each.files, "bytes": each.bytes} for each in kept])
    elif kept:
        say_table(["name", "what", "files", "bytes"], ((e.name, e.what, e.files, e.bytes) for e in kept))
    elif not clear:
        note("nothing is kept")


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
