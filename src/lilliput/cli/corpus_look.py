"""`lilliput corpus stats`: count what is in a corpus."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from lilliput.cli.terminal import say, say_json, say_table
from lilliput.config.errors import Exit, LilliputError

Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]


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

    source = source_of(corpus, options(text_column))
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


COMMANDS: tuple[Callable[..., Any], ...] = (stats,)
"""What `lilliput corpus` looks with."""


def options(text_column: str | None) -> dict[str, str]:
    """What a command line adds to the entry of a source."""
    return {} if text_column is None else {"text_column": text_column}
