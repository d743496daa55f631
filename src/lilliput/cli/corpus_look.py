"""`lilliput corpus stats`, `peek` and `search`: what is in a corpus, in a recipe's data or in a token shard."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.terminal import columns, note, say, say_json, say_json_line, say_table
from lilliput.config.errors import Exit, LilliputError

if TYPE_CHECKING:
    from lilliput.stages.looking import Looked, Seen
    from lilliput.stages.survey import Surveyed
    from lilliput.tokens.tokenizer import Tokenizer

Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]
PLACE = "NAME|PATH|RECIPE|SHARD"
Named = Annotated[str, typer.Argument(metavar=PLACE, help="a corpus, a recipe, or a shard: its folder or name")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="settings of a recipe that win")]
TextColumn = Annotated[str | None, typer.Option(help="the column of a .jsonl file that holds the text")]
PartName = Annotated[str, typer.Option("--part", help="train, validation, test or all")]
TokenizerName = Annotated[str | None, typer.Option(help="bytes, gpt2, a name, a folder or hub name")]

WIDTH = 80
"""Columns of a page."""
NAMED_SHARE = 0.005
"""Least share of a language that is named."""


def options(text_column: str | None) -> dict[str, str]:
    """What a command line adds to the entry of a source."""
    return {} if text_column is None else {"text_column": text_column}


def stats(
    corpus: Named,
    overrides: Overrides = None,
    text_column: TextColumn = None,
    split: Annotated[str | None, typer.Option(help="auto, official, tail or hash")] = None,
    encoding: Annotated[str | None, typer.Option(help="utf-8 or latin-1")] = None,
    tokenizer: TokenizerName = None,
    context_length: Annotated[int | None, typer.Option(min=1, help="ids of a training sequence")] = None,
    languages: Annotated[bool | None, typer.Option("--languages/--no-languages", help="tell languages apart")] = None,
    json: Json = False,
) -> None:
    """Count documents, bytes, words, languages and a tokenizer's ids, as a recipe would read and divide them.

    Example: lilliput corpus stats tiny --tokenizer bytes --context-length 64
    """
    from collections import Counter

    from lilliput.config.load import load
    from lilliput.corpus.emptied import emptied
    from lilliput.corpus.languages import can_tell
    from lilliput.corpus.reading import Reading
    from lilliput.corpus.split import SplitConfig
    from lilliput.stages.looking import look, tokenizer_of
    from lilliput.stages.survey import survey

    looked = look(
        corpus,
        overrides or (),
        options=options(text_column),
        split=None if split is None else load(SplitConfig, {"kind": split}, origin="--split"),
        reading=None if encoding is None else load(Reading, {"encoding": encoding}, origin="--encoding"),
    )
    length = context_length or looked.context_length or 256
    counter = None if looked.shard and tokenizer is None else tokenizer_of(looked, tokenizer)
    found = survey(looked, counter, length, languages=can_tell() if languages is None else languages)
    if not any(one.statistics.total.bytes for one in found):
        cause = f"{found[0].statistics.provenance if found else corpus} holds no text"
        dropped = sum((Counter(one.statistics.dropped) for one in found), Counter[str]())
        raise emptied(cause, dropped) or LilliputError(cause, "name files with text", Exit.CONTENT)
    if json:
        say_json(_document(looked, found))
        return
    if looked.tokenizer and counter is None:
        note(
            f"tokens are not counted: the tokenizer of {corpus} is not here, or trained with its run; see `--tokenizer`"
        )
    if languages is None and not can_tell() and not looked.shard:
        note("languages need `pip install 'lilliput[data]'`")
    if len(found) > 1:
        _say_shares(found)
    for one in found:
        _say_source(one, length, is_shard=looked.shard is not None)


def _document(looked: "Looked", found: "list[Surveyed]") -> dict[str, Any]:
    entries = [
        {
            **asdict(one.statistics),
            "training_sequences": one.sequences,
            "share_of_text": one.of_text,
            "share_of_training": one.of_training,
        }
        for one in found
    ]
    return entries[0] if len(entries) == 1 and not looked.data else {"name": looked.name, "sources": entries}


def _say_shares(found: "list[Surveyed]") -> None:
    from lilliput.stages.survey import trained

    say("trained on:")
    has_tokens = all(one.statistics.total.tokens is not None for one in found)
    names = ["documents", "bytes", *(["tokens"] if has_tokens else [])]
    rows = []
    for one in found:
        counts = trained(one.statistics)
        shares = [f"{share:7.1%}" for share in (one.of_text, one.of_training)]
        rows.append([end_of(one.statistics.name, 24), *(getattr(counts, name) for name in names), *shares])
    say_table(["source", *names, "of text", "of training"], rows)
    say()


def _say_source(one: "Surveyed", length: int, is_shard: bool) -> None:
    found = one.statistics
    _say_wrapped(found.provenance.split(" "), " ")
    names = ["documents", "bytes", *([] if is_shard else ["characters", "words"])]
    names += [] if found.total.tokens is None else ["tokens"]
    rows = [*found.parts.items(), ("all", found.total)]
    say_table(["part", *names], ([part, *(getattr(counts, name) for name in names)] for part, counts in rows))
    if one.sequences is not None:
        say(f"training sequences of {length:,} tokens: {one.sequences:,}")
    sizes = {f"{size:,}" for size in found.lengths.values()}
    quantiles = [f"{name} {size:,}" for name, size in found.lengths.items()] if len(sizes) > 1 else list(sizes)
    _say_wrapped(["bytes of a document:", *_listed(quantiles)], " ")
    if found.languages:
        told = found.languages
        whole = told.passages == told.of
        of = "" if whole else f", judged by {told.passages:,} of {told.of:,} passages"
        shares = [f"{name} {share:.1%}" for name, share in told.shares.items() if share >= NAMED_SHARE]
        others = sum(share for share in told.shares.values() if share < NAMED_SHARE)
        shares += [f"others {others:.1%}"] if others >= 0.0005 else []
        _say_wrapped([f"languages by bytes{of}:", *_listed(shares)], " ")
    if found.dropped:
        reasons = [f"{reason} {count:,}" for reason, count in found.dropped.items()]
        _say_wrapped(["left out:", *_listed(reasons)], " ")


def _listed(words: list[str]) -> list[str]:
    return [f"{word}," for word in words[:-1]] + words[-1:]


def peek(
    corpus: Named,
    overrides: Overrides = None,
    number: Annotated[int, typer.Option(min=1, max=10_000, help="documents to show")] = 3,
    part: PartName = "all",
    characters: Annotated[int | None, typer.Option(min=1, help="characters to show of each [500; JSON: all]")] = None,
    seed: Annotated[int | None, typer.Option(help="draw them at random instead of the first")] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="show what the tokenizer makes of them")] = False,
    tokenizer: TokenizerName = None,
    text_column: TextColumn = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="print a JSON line for each document")] = False,
) -> None:
    """Show documents of a corpus, of a recipe's data after its cleaning, or of a token shard, as text or as tokens.

    Example: lilliput corpus peek tiny --tokens --tokenizer bytes
    """
    from lilliput.stages.looking import drawn, part_named, seen, tokenizer_of

    looked, which = _opened(corpus, overrides, text_column), part_named(part)
    wanted = tokens or tokenizer is not None or looked.shard is not None
    opened = tokenizer_of(looked, tokenizer) if wanted else None
    if opened is None and (tokens or looked.shard) and not (looked.shard and (tokens or jsonl)):
        cause = f"the tokenizer of {corpus} is not at hand"
        raise LilliputError(cause, "name it with `--tokenizer NAME`, a name or a folder", Exit.MISSING)
    documents = drawn(seen(looked, which, opened, with_ids=tokens or jsonl), number, seed)
    for index, one in enumerate(documents):
        if jsonl:
            say_json_line(_line(one, characters))
            continue
        say(("\n" if index else "") + _heading(one))
        if tokens:
            _say_wrapped(_words_of(one.ids or [], opened, characters or 500), "  ")
        else:
            say(_cut(one.text or "", characters or 500))


def _opened(corpus: str, overrides: list[str] | None, text_column: str | None) -> "Looked":
    """What a word names; in files that only are looked at, bytes that are no UTF-8 show as U+FFFD."""
    from dataclasses import replace

    from lilliput.corpus.reading import Reading
    from lilliput.stages.looking import look

    looked = look(corpus, overrides or (), options=options(text_column))
    return looked if looked.data else replace(looked, reading=Reading(invalid_utf8="replace"))


def _line(one: "Seen", characters: int | None) -> dict[str, Any]:
    fields = asdict(one)
    fields["text"] = None if one.text is None else one.text[:characters]
    return {name: value for name, value in fields.items() if value is not None or name == "part"}


def _heading(one: "Seen") -> str:
    facts = [f"{one.bytes:,} bytes"]
    if one.ids is not None:
        facts.append(f"{len(one.ids):,} tokens")
    if one.part:
        facts.append(one.part)
    room = WIDTH - len("--- ") - columns(", ".join(facts)) - 2
    return f"--- {end_of(_one_line(one.key), room)}  {', '.join(facts)}"


def _cut(text: str, characters: int) -> str:
    """The beginning of a text, not ending before a combining character, and how much is left."""
    from unicodedata import combining

    if len(text) <= characters:
        return text
    stop = characters
    while stop < min(len(text), characters + 16) and combining(text[stop]):
        stop += 1
    return f"{text[:stop]}\n... {len(text) - stop:,} more characters"


def _words_of(ids: list[int], tokenizer: "Tokenizer | None", most: int) -> Iterator[str]:
    """Each id with its piece in quotes; bytes of half a character as `\\x..`."""
    for number in ids[:most]:
        if tokenizer is None:
            yield str(number)
            continue
        piece = tokenizer.decode_bytes([number])
        try:
            yield f"{number}:{piece.decode()!r}"
        except UnicodeDecodeError:
            yield f"{number}:{repr(piece)[1:]}"
    if len(ids) > most:
        yield f"... {len(ids) - most:,} more"


def _say_wrapped(words: Iterable[str], between: str) -> None:
    """Words side by side, as many in a line as a page is wide; a line that goes on another is set in."""
    row, used = "", 0
    for word in words:
        width = columns(word)
        if row and used + len(between) + width > WIDTH:
            say(row)
            row, used = f"  {word}" if between == " " else word, width + (2 if between == " " else 0)
            continue
        used += width + (len(between) if row else 0)
        row += (between if row else "") + word
    if row:
        say(row)


def search(
    corpus: Annotated[str, typer.Argument(metavar=PLACE, help="where to search")],
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="what to search for; quote several as one")],
    number: Annotated[int, typer.Option(min=0, max=100_000, help="places to show of each; all are counted")] = 10,
    part: PartName = "all",
    whole: Annotated[bool, typer.Option("--whole", help="whole words alone")] = False,
    case: Annotated[bool, typer.Option("--case", help="tell capitals from small letters")] = False,
    regex: Annotated[bool, typer.Option("--regex", help="the words are regular expressions of RE2")] = False,
    tokenizer: TokenizerName = None,
    text_column: TextColumn = None,
    json: Json = False,
) -> None:
    """Find words in the documents of a corpus: how often, in how many, and what stands around them.

    Example: lilliput corpus search tiny little river --whole
    """
    from lilliput.corpus.document import Document
    from lilliput.corpus.search import patterns
    from lilliput.corpus.search import search as search_in
    from lilliput.corpus.search import words as literal
    from lilliput.stages.looking import part_named, seen, tokenizer_of

    if regex and whole:
        raise LilliputError("`--whole` is for words", r"write \b into the regular expression", Exit.USAGE)
    wanted = patterns(words, case=case) if regex else literal(words, whole=whole, case=case)
    looked, which = _opened(corpus, None, text_column), part_named(part)
    opened = tokenizer_of(looked, tokenizer) if looked.shard else None
    if looked.shard and opened is None:
        cause = f"the tokenizer of {corpus} is not at hand"
        raise LilliputError(cause, "name it with `--tokenizer NAME`, a name or a folder", Exit.MISSING)
    documents = (Document(one.text or "", one.source, one.key) for one in seen(looked, which, opened))
    found = search_in(documents, wanted, number)
    if json:
        say_json(asdict(found))
        return
    for hit in found.hits:
        key = f"{hit.source} {hit.key}" if len(looked.sources) > 1 else hit.key
        say(f"--- {end_of(_one_line(key), 50)}  character {hit.position:,}")
        say(_in_context(hit.before, hit.match, hit.after))
    if found.hits:
        say()
    rows: list[list[str | int]] = [
        [end_of(_one_line(word), 40), count.occurrences, count.documents] for word, count in found.words.items()
    ]
    say_table(["word", "places", "documents"], rows)
    note(f"searched {found.characters:,} characters in {found.documents:,} document{'s' * (found.documents != 1)}")


def _in_context(before: str, match: str, after: str) -> str:
    """One line, the match in brackets, as much around it as a page is wide."""
    middle = f"[{end_of(_one_line(match), WIDTH - 20)}]"
    room = (WIDTH - columns(middle)) // 2
    left = end_of(_one_line(before), room)
    return " " * max(0, room - columns(left)) + left + middle + beginning_of(_one_line(after), room)


def _one_line(text: str) -> str:
    from lilliput.cli.terminal import printable

    return printable(" ".join(text.split("\n")).replace("\t", " "))


def end_of(text: str, room: int) -> str:
    """The end of a line that is longer than `room` columns."""
    if columns(text) <= room:
        return text
    kept = text
    while columns(kept) > room - 3:
        kept = kept[max(1, (columns(kept) - room) // 4) :]
    return f"...{kept}"


def beginning_of(text: str, room: int) -> str:
    """The beginning of a line that is longer than `room` columns."""
    if columns(text) <= room:
        return text
    kept = text
    while columns(kept) > room - 3:
        kept = kept[: -max(1, (columns(kept) - room) // 4)]
    return f"{kept}..."


COMMANDS: tuple[Callable[..., Any], ...] = (stats, peek, search)
"""What `lilliput corpus` looks with."""
