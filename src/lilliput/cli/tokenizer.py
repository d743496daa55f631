"""`lilliput tokenizer`: train one on a corpus, and compare what several make of a text."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from lilliput.cli.parsing import group
from lilliput.cli.terminal import note, say, say_json, say_table

app = group("Tokenizers: train your own, compare them.", example="lilliput tokenizer report tiny bytes")

Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]
Corpus = Annotated[str, typer.Argument(metavar="NAME|PATH", help="a corpus, a file, a folder or a pattern")]
TextColumn = Annotated[str | None, typer.Option(help="the column of a .jsonl file that holds the text")]


@app.command()
def train(
    corpus: Corpus,
    output: Annotated[str, typer.Option(metavar="NAME|DIR", help="the name to keep it under, or a folder")],
    size: Annotated[int, typer.Option(help="number of ids")] = 4096,
    special: Annotated[
        list[str] | None, typer.Option(help="a word with an id of its own; the first ends texts")
    ] = None,
    text_column: TextColumn = None,
    json: Json = False,
) -> None:
    """Train a byte-level BPE on the training part of a corpus.

    Example: lilliput tokenizer train tiny --size 300 --output small
    """
    from lilliput.config.load import load
    from lilliput.corpus.listing import source_of
    from lilliput.stages.tokenizer import remarks
    from lilliput.stages.vocabularies import train as train_tokenizer
    from lilliput.tokens import BPEConfig

    tree = {"size": size, **({"special_tokens": special} if special else {})}
    config = load(BPEConfig, tree, origin="tokenizer train")
    tokenizer, folder, found = train_tokenizer(source_of(corpus, _options(text_column)), config, output)
    for remark in remarks(tokenizer):
        note(remark)
    if json:
        say_json({"folder": str(folder), "fingerprint": tokenizer.fingerprint, **_row(found)})
        return
    _say_reports({output: found})
    say(f"saved in {folder}")
    note(f"use it with tokenizer.kind=hub tokenizer.name={output}")


@app.command("report")
def report_(
    corpus: Corpus,
    tokenizers: Annotated[
        list[str], typer.Argument(metavar="TOKENIZER...", help="bytes, gpt2, a name, folder or hub name")
    ],
    text_column: TextColumn = None,
    json: Json = False,
) -> None:
    """Compare tokenizers on the validation part of a corpus: bytes per token, tokens per word, round trip.

    Example: lilliput tokenizer report tiny bytes
    """
    from lilliput.corpus.listing import source_of
    from lilliput.stages.vocabularies import compare

    found = compare(source_of(corpus, _options(text_column)), tokenizers)
    if json:
        say_json({name: _row(one) for name, one in found.items()})
    else:
        _say_reports(found)


def _say_reports(found: dict[str, Any]) -> None:
    rows = {name: _row(one) for name, one in found.items()}
    columns = list(next(iter(rows.values())))
    say_table(["tokenizer", *columns], ([name, *row.values()] for name, row in rows.items()))


def _row(found: Any) -> dict[str, Any]:
    rates = {"bytes_per_token": found.bytes_per_token, "tokens_per_word": found.tokens_per_word}
    return {**asdict(found), **{name: round(rate, 3) for name, rate in rates.items()}}


def _options(text_column: str | None) -> dict[str, str]:
    return {} if text_column is None else {"text_column": text_column}
