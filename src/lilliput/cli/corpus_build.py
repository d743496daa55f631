"""`lilliput corpus build` and `clean`: text into clean token shards, and one file into a clean one."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from lilliput.cli.corpus_look import Json
from lilliput.cli.terminal import note, say, say_json, say_table

Overrides = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="settings that win")]


def build(
    corpus: Annotated[str, typer.Argument(metavar="RECIPE|NAME|PATH", help="a recipe, a corpus, or text of your own")],
    overrides: Overrides = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="show what became of the documents, with examples")
    ] = False,
    json: Json = False,
) -> None:
    """Clean, divide and tokenise a corpus as training would, and keep the shards that training then streams.

    Example: lilliput corpus build tiny data.cleaning.rules='[{kind: short, min_words: 20}]' --explain
    """
    from lilliput.runs import stop
    from lilliput.stages.building import build as build_corpus
    from lilliput.stages.building import preparation

    stop.install()
    built = build_corpus(preparation(corpus, overrides or []))
    if json:
        say_json(_record(built))
        return
    for label, provenance in zip(built.labels, built.provenance, strict=True):
        note(f"{label}: {provenance}" if not provenance.startswith(label) else provenance)
    _say_sources(built)
    if explain:
        for label, funnel in zip(built.labels, built.funnels, strict=True):
            _say_funnel(label, funnel)
    say()
    rows = [(part, s.num_documents, s.num_tokens, s.bytes, _name(s)[:16]) for part, _, s in built.shards()]
    say_table(["part", "documents", "tokens", "bytes", "shard"], rows)


def _say_sources(built: Any) -> None:
    rows = []
    for label, shares, funnel in zip(built.labels, built.shares, built.funnels, strict=True):
        share = " > ".join(f"{share:.1%}" for share in shares)
        rows.append([_short(label), share, funnel.documents, funnel.kept, funnel.kept_bytes])
    say_table(["source", "share", "read", "kept", "bytes"], rows)


def _short(label: str, width: int = 32) -> str:
    return label if len(label) <= width else f"...{label[3 - width :]}"


def _say_funnel(label: str, funnel: Any) -> None:
    say()
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
    columns = zip(built.labels, built.provenance, built.shares, built.funnels, strict=True)
    return {
        "sources": [
            {"name": label, "provenance": provenance, "shares": shares, "funnel": vars(funnel)}
            for label, provenance, shares, funnel in columns
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


COMMANDS: tuple[Callable[..., Any], ...] = (build,)
"""What `lilliput corpus` builds with."""
