"""`lilliput tokenizer`: train one on text, and compare what several make of it."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.corpus_look import Json, beginning_of, end_of, options
from lilliput.cli.parsing import group
from lilliput.cli.terminal import note, say, say_json, say_table
from lilliput.config.errors import Exit, LilliputError

if TYPE_CHECKING:
    from lilliput.stages.looking import Looked
    from lilliput.stages.vocabularies import Compared
    from lilliput.tokens.report import Report

app = group("Tokenizers: train your own, compare them.", example="lilliput tokenizer compare bytes --corpus tiny")

TextColumn = Annotated[str | None, typer.Option(help="the column of a .jsonl file that holds the text")]
Languages = Annotated[bool | None, typer.Option("--languages/--no-languages", help="report languages apart")]
SETTING = re.compile(r"data\.[a-z0-9_.]+=")
"""A key of a recipe among the names of corpora."""
SPACELESS = {"zh", "yue", "wuu", "ja", "th", "lo", "km", "my", "dz"}
"""Languages that are written without spaces between words: tokens per word would count sentences."""


@app.command()
def train(
    corpora: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CORPUS]... [KEY=VALUE]...", help="names, paths, recipes; without any, data/raw"),
    ] = None,
    output: Annotated[str, typer.Option(metavar="NAME|DIR", help="the name to keep it under, or a folder")] = "",
    files: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="files by a pattern, in quotes")] = None,
    size: Annotated[int, typer.Option(help="number of ids")] = 4096,
    special: Annotated[
        list[str] | None, typer.Option(help="a word with an id of its own; the first ends texts")
    ] = None,
    chat: Annotated[bool, typer.Option("--chat", help="add the words of chats, tools and thoughts")] = False,
    max_bytes: Annotated[int | None, typer.Option(min=1, help="read at most so many bytes of each corpus")] = None,
    text_column: TextColumn = None,
    languages: Languages = None,
    json: Json = False,
) -> None:
    """Train a byte-level BPE on the training part of what is named, or of all text below data/raw.

    Example: lilliput tokenizer train tiny --size 300 --output small
    """
    from lilliput.config.load import load
    from lilliput.corpus.languages import can_tell
    from lilliput.stages.tokenizer import remarks
    from lilliput.stages.vocabularies import compared
    from lilliput.stages.vocabularies import train as train_tokenizer
    from lilliput.tokens import BPEConfig
    from lilliput.tokens.special import CONVERSATION, END_OF_TEXT

    if not output:
        raise LilliputError("no `--output` is given", "name the tokenizer: `--output mine`", Exit.USAGE)
    words = list(dict.fromkeys([*(special or [END_OF_TEXT]), *(CONVERSATION[1:] if chat else ())]))
    config = load(BPEConfig, {"size": size, "special_tokens": words}, origin="tokenizer train")
    given = {**options(text_column), **({} if max_bytes is None else {"max_bytes": max_bytes})}
    settings = [word for word in corpora or [] if SETTING.match(word)]
    looked = _all_of([word for word in [*(corpora or []), *(files or [])] if word not in settings], settings, given)
    tokenizer, folder = train_tokenizer(looked, config, output)
    for remark in remarks(tokenizer):
        note(remark)
    found = compared(looked, {output: tokenizer}, "train", languages=can_tell() if languages is None else languages)
    if json:
        tokens = {word: tokenizer.inner.token_to_id(word) for word in words}
        head = {"folder": str(folder), "fingerprint": tokenizer.fingerprint, "special": tokens}
        say_json({**head, **found.all[output].record(), **_document(found)})
        return
    _say_compared(found, "the training part")
    say(f"saved in {folder}")
    note(f"use it with tokenizer.kind=hub tokenizer.name={output}")


def _all_of(words: Sequence[str], settings: Sequence[str], given: dict[str, Any]) -> "list[Looked]":
    """What to train on: each word's text, all text below a folder, or below data/raw where no word is given."""
    from dataclasses import replace
    from pathlib import Path

    from lilliput.corpus.scan import RAW, scan
    from lilliput.stages.looking import look, look_at

    found = []
    for word in words or [RAW]:
        if Path(word).is_dir() or word == RAW:
            sources = [replace(source, **given) for source in scan(word)]
            note(f"{word}: {' and '.join(source.kind for source in sources)} files")
            found += [look_at(word, [source], settings) for source in sources]
        else:
            found.append(look(word, settings, options=given))
    return found


@app.command()
def compare(
    tokenizers: Annotated[
        list[str], typer.Argument(metavar="TOKENIZER...", help="bytes, gpt2, a name, folder or hub name")
    ],
    corpus: Annotated[list[str], typer.Option(metavar="NAME|PATH|RECIPE", help="what to read; may be repeated")],
    part: Annotated[str, typer.Option(help="train, validation, test or all")] = "validation",
    max_bytes: Annotated[int, typer.Option(min=1, help="read at most so many bytes of each corpus")] = 16 << 20,
    text_column: TextColumn = None,
    languages: Languages = None,
    json: Json = False,
) -> None:
    """Compare tokenizers side by side: bytes per token, tokens per word, by source and by language, and round trips.

    Example: lilliput tokenizer compare bytes --corpus tiny
    """
    from lilliput.corpus.languages import can_tell
    from lilliput.stages.looking import look, part_named
    from lilliput.stages.vocabularies import compare as compare_named

    looked = [look(word, options=options(text_column)) for word in dict.fromkeys(corpus)]
    told = can_tell() if languages is None else languages
    names = list(dict.fromkeys(tokenizers))
    found = compare_named(looked, names, part_named(part), most=max_bytes, languages=told)
    if json:
        say_json({"part": part, "whole": found.is_whole, **_document(found)})
    else:
        _say_compared(found, "all the text" if part == "all" else f"the {part} part")


def _document(found: "Compared") -> dict[str, Any]:
    def records(groups: "dict[str, dict[str, Report]]") -> dict[str, Any]:
        return {group: {name: one.record() for name, one in of.items()} for group, of in groups.items()}

    return {
        "sources": records(found.by_source),
        "languages": records(found.by_language),
        **records({"all": found.all}),
    }


def _say_compared(found: "Compared", part: str) -> None:
    total = next(iter(found.all.values()))
    say(f"on {total.bytes:,} bytes of {part}{'' if found.is_whole else ', the first of each corpus'}")
    say()
    sources = {end_of(name, 30): of for name, of in found.by_source.items()}
    if len(sources) > 1:
        sources["all"] = found.all
    _say_rates("bytes per token", "source", sources, lambda one: one.bytes_per_token)
    _say_rates("tokens per word", "source", sources, lambda one: one.tokens_per_word)
    if len(found.by_language) > 1:
        spaced = {name: of for name, of in found.by_language.items() if name not in SPACELESS}
        _say_rates("bytes per token", "language", found.by_language, lambda one: one.bytes_per_token)
        _say_rates("tokens per word", "language", spaced, lambda one: one.tokens_per_word)
        if left := [name for name in found.by_language if name in SPACELESS]:
            say(f"no spaces between words, so no tokens per word: {', '.join(left)}")
            say()
    say_table(
        ["tokenizer", "ids", "in use", "texts changed"],
        ([end_of(name, 40), one.size, one.used, one.changed] for name, one in found.all.items()),
    )


def _say_rates(what: str, of: str, groups: "dict[str, dict[str, Report]]", rate: "Callable[[Report], float]") -> None:
    """A table of one rate: groups down, tokenizers across."""
    names = list(next(iter(groups.values()))) if groups else []
    say(f"{what}:")
    rows: list[list[str | int]] = [
        [group, next(iter(of_one.values())).bytes, *(f"{rate(of_one[name]):7.3f}" for name in names)]
        for group, of_one in groups.items()
    ]
    say_table([of, "bytes", *(f"{beginning_of(name, 16):>7}" for name in names)], rows)
    say()
