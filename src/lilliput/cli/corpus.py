"""`lilliput corpus`: which sets are known, fetch one, name your own, and count what is in them."""

from dataclasses import asdict
from typing import Annotated

import typer

from lilliput.cli.parsing import group
from lilliput.cli.terminal import note, say, say_json, say_table
from lilliput.config.errors import Exit, LilliputError

app = group("Text to train on: known sets, and your own.", example="lilliput corpus stats verdict")

Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]


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

    source = add_corpus(name, path, _options(text_column))
    note(f"{name} is {source.label}; use it with data.sources={name}")


@app.command()
def stats(
    corpus: Annotated[str, typer.Argument(metavar="NAME|PATH", help="a name, a file, a folder or a pattern")],
    text_column: Annotated[str | None, typer.Option(help="the column of a .jsonl file that holds the text")] = None,
    split: Annotated[str, typer.Option(help="auto, official, tail or hash")] = "auto",
    encoding: Annotated[str, typer.Option(help="utf-8 or latin-1")] = "utf-8",
    tokenizer: Annotated[str | None, typer.Option(help="count its ids too: bytes, gpt2, a name, folder or hub")] = None,
    context_length: Annotated[int, typer.Option(min=1, help="ids of a training sequence")] = 256,
    json: Json = False,
) -> None:
    """Count documents, bytes, characters and words, and a tokenizer's ids, as a recipe would read and divide them.

    Example: lilliput corpus stats tiny --tokenizer bytes --context-length 64
    """
    from lilliput.config.load import load
    from lilliput.corpus.listing import source_of
    from lilliput.corpus.reading import Reading
    from lilliput.corpus.split import SplitConfig
    from lilliput.corpus.statistics import measure
    from lilliput.stages.vocabularies import sequences, statistics

    source = source_of(corpus, _options(text_column))
    division = load(SplitConfig, {"kind": split}, origin="--split")
    reading = load(Reading, {"encoding": encoding}, origin="--encoding")
    found = statistics(source, division, reading, tokenizer) if tokenizer else measure(source, division, reading)
    train = found.parts.get("train")
    windows = sequences(train, context_length) if train and tokenizer else None
    if not found.total.bytes:
        raise LilliputError(f"{found.provenance} holds no text", "name files with text", Exit.CONTENT)
    if json:
        say_json({**asdict(found), "training_sequences": windows})
        return
    say(f"{found.provenance}")
    columns = ["documents", "bytes", "characters", "words", *(["tokens"] if tokenizer else [])]
    rows = [*found.parts.items(), ("all", found.total)]
    say_table(["part", *columns], ([name, *(getattr(counts, column) for column in columns)] for name, counts in rows))
    if windows is not None:
        say(f"training sequences of {context_length:,} tokens: {windows:,}")
    say("bytes of a document: " + ", ".join(f"{name} {size:,}" for name, size in found.lengths.items()))
    if found.dropped:
        say("left out: " + ", ".join(f"{reason} {count:,}" for reason, count in found.dropped.items()))


def _options(text_column: str | None) -> dict[str, str]:
    return {} if text_column is None else {"text_column": text_column}
