"""`lilliput corpus build` and `clean`: text into clean token shards, and one file into a clean one."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput.cli.corpus_look import Json
from lilliput.cli.terminal import note, say, say_json, say_table
from lilliput.config.errors import Exit, LilliputError

ENGINES = ("local", "datatrove")
NOTHING = "nothing to remove: no downloaded set of the hub was read"
Overrides = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="settings that win")]


def build(
    corpus: Annotated[str, typer.Argument(metavar="RECIPE|NAME|PATH", help="a recipe, a corpus, or text of your own")],
    overrides: Overrides = None,
    engine: Annotated[str, typer.Option(help="local, or datatrove: its executors on this machine")] = "local",
    delete_raw: Annotated[
        bool, typer.Option("--delete-raw", help="remove downloaded files once their shards are there")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="show what became of the documents, with examples")
    ] = False,
    json: Json = False,
) -> None:
    """Clean, divide and tokenise a corpus as training would, and keep the shards that training then streams.

    Example: lilliput corpus build tiny data.cleaning.rules='[{kind: short, min_words: 20}]' --explain
    """
    from lilliput.cli.progress import preparing
    from lilliput.corpus.cache import remove_raw
    from lilliput.corpus.files import amount
    from lilliput.runs import stop
    from lilliput.stages.building import build as build_corpus
    from lilliput.stages.building import preparation

    stop.install()
    if engine not in ENGINES:
        raise LilliputError(f"there is no engine `{engine}`", f"it may be {' or '.join(ENGINES)}", Exit.USAGE)
    with preparing():
        built = build_corpus(preparation(corpus, overrides or []), engine)
    freed = remove_raw(built.sources) if delete_raw else None
    if json:
        say_json({**_record(built), **({} if freed is None else {"freed": freed})})
        return
    for label, provenance in zip(built.labels, built.provenance, strict=True):
        note(f"{label}: {provenance}" if not provenance.startswith(label) else provenance)
    _say_sources(built)
    if explain:
        for label, funnel in zip(built.labels, built.funnels, strict=True):
            say()
            _say_funnel(label, funnel)
    say()
    rows = [(part, s.num_documents, s.num_tokens, s.bytes, _name(s)[:16]) for part, _, s in built.shards()]
    say_table(["part", "documents", "tokens", "bytes", "shard"], rows)
    if freed is not None:
        note(f"{amount(freed)} of downloaded files removed; training reads the shards" if freed else NOTHING)


def clean(
    file: Annotated[Path, typer.Argument(help="text, or rows; .gz and .zst too")],
    overrides: Overrides = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="by default NAME.clean.txt or .jsonl")] = None,
    json: Json = False,
) -> None:
    """Write what rules leave of a file beside it, and show what they did; nothing is overwritten.

    Words are keys of `data.cleaning` and of reading, without rules `encoding` and `short` are used.
    Example: lilliput corpus clean diary.txt rules='[encoding, {kind: short, min_words: 20}]'
    """
    from lilliput.cli.progress import preparing
    from lilliput.corpus.cleaned_file import clean_file
    from lilliput.runs import stop
    from lilliput.stages.building import cleaning_of

    stop.install()
    with preparing():
        target, funnel = clean_file(file, output, *cleaning_of(overrides or []))
    if json:
        say_json({"file": str(target), "funnel": vars(funnel)})
        return
    _say_funnel(str(file), funnel)
    say(f"written to {target}")


def _say_sources(built: Any) -> None:
    rows = []
    columns = zip(built.labels, built.shares, built.repeats, built.funnels, strict=True)
    for label, shares, repeats, funnel in columns:
        share = " > ".join(f"{share:.1%}" for share in shares)
        rows.append([_short(label, 22), share, f"{repeats:.2f} x", funnel.documents, funnel.kept, funnel.kept_bytes])
    say_table(["source", "share", "per epoch", "read", "kept", "bytes"], rows)


def _short(label: str, width: int = 32) -> str:
    return label if len(label) <= width else f"...{label[3 - width :]}"


def _say_funnel(label: str, funnel: Any) -> None:
    dropped = [[f"- {reason}", count] for reason, count in sorted(funnel.dropped.items(), key=lambda pair: -pair[1])]
    say_table([_short(label, 60), "documents"], [["read", funnel.documents], *dropped, ["= kept", funnel.kept]])
    for rule, count in funnel.edited.items():
        say(f"changed by {rule}: {count:,}")
    for reason, examples in funnel.examples.items():
        say(f"{reason}, for example")
        for key, text in examples:
            say(f"  {key}: {' '.join(text.split())[: 74 - len(key)]}")


def _name(shard: Any) -> str:
    return str(shard.folder.name)


def _record(built: Any) -> dict[str, Any]:
    columns = zip(built.labels, built.provenance, built.shares, built.repeats, built.funnels, strict=True)
    return {
        "sources": [
            {"name": label, "provenance": provenance, "shares": shares, "repeats": repeats, "funnel": vars(funnel)}
            for label, provenance, shares, repeats, funnel in columns
        ],
        "shards": [
            {
                "part": part,
                "name": name,
                "documents": shard.num_documents,
                "tokens": shard.num_tokens,
                "bytes": shard.bytes,
                "folder": str(shard.folder),
            }
            for part, name, shard in built.shards()
        ],
    }


COMMANDS: tuple[Callable[..., Any], ...] = (build, clean)
"""What `lilliput corpus` builds with."""
