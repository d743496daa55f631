"""Looking at text: what a word on the command line names, a corpus, a recipe or a token shard, read as documents."""

import os
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.config import load as config
from lilliput.config.errors import Exit, LilliputError
from lilliput.config.nearest import did_you_mean
from lilliput.corpus.catalog import part_of
from lilliput.corpus.document import Part, size
from lilliput.corpus.emptied import emptied
from lilliput.corpus.listing import source_of
from lilliput.corpus.named import NAMED, ON_THE_HUB, is_path
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.registry import registered
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.entry import Entry, limited
from lilliput.corpus.split import SplitConfig
from lilliput.runs import stop
from lilliput.runs.home import shards, tokenizers
from lilliput.runs.run import TOKENIZER, runs_root
from lilliput.stages.named import open_named
from lilliput.tokens import ByteTokenizer, TokenizerConfig, load, open_tokenizer
from lilliput.tokens.gpt2 import FINGERPRINT
from lilliput.tokens.record import NAME, read_record
from lilliput.tokens.shards import INDEX, MANIFEST, TOKENS, Shard
from lilliput.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from lilliput.stages.prepare import DataConfig

HASHED = 256 << 20
"""Bytes of tokens up to which a shard is compared with its sha256 before it is looked at; its index always is."""
HASH = re.compile("[0-9a-f]{8,64}")
"""A shard's name, or its beginning."""
LONGEST_NAME, LONGEST_PATH = 255, 4096
"""Bytes of a file's name and of a path: systems take no longer ones."""
LARGEST_RECIPE = 1 << 20
"""Bytes of the longest .json file that may be a recipe."""
PARTS: dict[str, Part | None] = {"all": None, "train": "train", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class Looked:
    """Text to look at: sources, as a recipe reads and divides them, or a shard of tokens."""

    name: str
    sources: tuple[Entry, ...] = ()
    split: SplitConfig = field(default_factory=SplitConfig)
    reading: Reading = field(default_factory=Reading)
    data: "DataConfig | None" = None
    """A recipe's; so are the next two."""
    tokenizer: TokenizerConfig | None = None
    context_length: int | None = None
    """None where a recipe only builds a corpus."""
    shard: Shard | None = None


@dataclass(frozen=True)
class Seen:
    """A document that is looked at."""

    source: str
    key: str
    part: str | None
    bytes: int
    text: str | None
    """None where a shard's tokenizer is not at hand."""
    ids: list[int] | None
    """Without begin and end; None where nobody asked."""


def look(
    word: str,
    overrides: Sequence[str] = (),
    *,
    options: Mapping[str, Any] | None = None,
    split: SplitConfig | None = None,
    reading: Reading | None = None,
) -> Looked:
    """What a word names: the folder of a shard, a corpus by name or path, or a recipe with overrides.

    A recipe's data is what its cleaning leaves. `options` of the source, `split` and `reading` are a corpus' own.
    Raises LilliputError: MISSING and RECIPE for a word that names nothing, CONTENT for a damaged shard, USAGE for
    what the word's kind does not take.
    """
    if not word or max(map(len, os.fsencode(word).split(b"/"))) > LONGEST_NAME or len(word) > LONGEST_PATH:
        cause = f"`{word[:20]}{'...' * bool(word)}` is no name of a corpus"
        raise LilliputError(cause, "`lilliput corpus list` shows those there are", Exit.USAGE)
    folder = _shard_folder(word)
    is_built = folder is not None or bool(overrides) or _is_recipe(word)
    if is_built and (options or split or reading):
        cause = "options of a source, `--split` and `--encoding` are for a corpus by name or path"
        raise LilliputError(cause, "in a recipe write `data.split=`, `data.encoding=` and `data.sources=`", Exit.USAGE)
    if folder and overrides:
        cause = f"`{overrides[0]}` changes a recipe, and `{word}` is a shard"
        raise LilliputError(cause, "leave it out", Exit.USAGE)
    if folder:
        return Looked(word, shard=_sound(Shard.open(folder)))
    if is_built:
        return _recipe(word, overrides)
    source = source_of(word, dict(options or {}))
    return Looked(word, (source,), split or SplitConfig(), reading or Reading())


def _shard_folder(word: str) -> Path | None:
    """The folder of a shard by its path, or by the beginning of its name among those that are kept."""
    if (Path(word) / MANIFEST).exists() or (Path(word) / TOKENS).exists():
        return Path(word)
    named = list(shards().glob(f"{word}*")) if HASH.fullmatch(word) else []
    return named[0] if len(named) == 1 else None


def _is_recipe(word: str) -> bool:
    if word.endswith((".yaml", ".yml", ".json")):
        return is_recipe_file(word)
    if word in NAMED or word in registered() or is_path(word) or Path(word).exists():
        return False
    from lilliput.stages.recipe import names

    if word in names():
        return True
    if ON_THE_HUB.fullmatch(word) and word.partition("/")[0] not in {name.partition("/")[0] for name in names()}:
        return False
    known = [*NAMED, *registered(), *names()]
    cause = f"`{word}` is no corpus and no recipe{did_you_mean(word, known)}"
    raise LilliputError(cause, "`lilliput corpus list` shows the corpora; for a file write ./NAME", Exit.RECIPE)


def is_recipe_file(word: str) -> bool:
    """Whether a word names a recipe's file: a .json one may hold rows, and is a recipe if it says what data to read."""
    if not word.endswith(".json") or not Path(word).is_file():
        return word.endswith((".yaml", ".yml", ".json"))
    if Path(word).stat().st_size > LARGEST_RECIPE:
        return False
    try:
        tree = config.read(Path(word))
    except LilliputError:
        return False
    return isinstance(data := tree.get("data"), dict) and "sources" in data


def _recipe(word: str, overrides: Sequence[str]) -> Looked:
    """The data of a recipe, or of a corpus with keys of a recipe's data."""
    from lilliput.stages import recipe as recipes  # brings torch, which a corpus needs not
    from lilliput.stages.building import preparation
    from lilliput.stages.prepare import Clean

    prepared, length = preparation(word, overrides), None
    if _is_recipe(word):
        tree = config.merge(config.read(recipes.find_recipe(word)), overrides, presets=recipes.presets())
        length = recipes.recipe_from(tree, origin=word).training.context_length if "model" in tree else None
    data = prepared.data
    return Looked(word, tuple(Clean(data).all), data.split, data, data, prepared.tokenizer, length)


def look_at(name: str, sources: Sequence[Source], overrides: Sequence[str] = ()) -> Looked:
    """Sources that are at hand, with keys of a recipe's data."""
    if not overrides:
        return Looked(name, tuple(sources))
    from lilliput.stages.building import loaded
    from lilliput.stages.prepare import Clean

    tree = config.merge({"data": {"sources": [config.dump(source) for source in sources]}}, overrides)
    data = loaded(tree, name).data
    return Looked(name, tuple(Clean(data).all), data.split, data, data)


def part_named(word: str) -> Part | None:
    """A part by its name, None for all of the text. Raises LilliputError (USAGE)."""
    if word not in PARTS:
        cause = f"there is no part `{word}`{did_you_mean(word, PARTS)}"
        raise LilliputError(cause, f"it may be {', '.join(PARTS)}", Exit.USAGE)
    return PARTS[word]


def seen(
    looked: Looked, part: Part | None = None, tokenizer: Tokenizer | None = None, *, with_ids: bool = False
) -> Iterator[Seen]:
    """The documents of a part, or all of them. Raises LilliputError (CONTENT) where there is none."""
    empty, dropped = True, Counter[str]()
    found = (
        _of_shard(looked.shard, tokenizer) if looked.shard else _of_sources(looked, part, tokenizer, with_ids, dropped)
    )
    for one in found:
        stop.yield_point()
        empty = False
        yield one
    if empty:
        what = f"the {part} part of {looked.name} is empty" if part else f"{looked.name} holds no text"
        action = "name another `--part`, such as all" if part else "name one with text"
        if part == "train":
            action = "give more documents that differ, or say `data.split.validation=0`"
        raise emptied(what, dropped) or LilliputError(what, action, Exit.CONTENT)


def _of_sources(
    looked: Looked, part: Part | None, tokenizer: Tokenizer | None, with_ids: bool, dropped: Counter[str]
) -> Iterator[Seen]:
    for source in looked.sources:
        reader = Reader(looked.reading, dropped)
        whole = limited(source.documents(reader), source) if part is None else None
        for document in whole or part_of(source, looked.split, reader, part or "train"):
            ids = tokenizer.encode(document.text) if tokenizer and with_ids else None
            yield Seen(document.source, document.key, document.part, size(document.text), document.text, ids)


def _of_shard(shard: Shard, tokenizer: Tokenizer | None) -> Iterator[Seen]:
    names = shard.manifest["provenance"].get("text") or []
    part = shard.manifest["provenance"].get("part")
    for number in range(shard.num_documents):
        start, stop = int(shard.offsets[number]) + 1, int(shard.offsets[number + 1]) - 1
        ids: list[int] = shard.tokens[start:stop].tolist()
        if tokenizer and max(ids, default=0) >= tokenizer.size:
            raise _damaged(shard, f"document {number + 1} holds an id of no word")
        text = tokenizer.decode(ids) if tokenizer else None
        source = int(shard.sources[number])
        name = str(names[source]) if source < len(names) else f"source {source}"
        yield Seen(name, f"document {number + 1}", part, int(shard.byte_counts[number]), text, ids)


def _sound(shard: Shard) -> Shard:
    """A shard that may be looked into: its index as it was written, every document within the tokens."""
    folder, files = shard.folder or Path(), shard.manifest["files"]
    if len(shard.tokens) * shard.tokens.itemsize <= HASHED:
        shard.verify()
    elif sha256((folder / INDEX).read_bytes()).hexdigest() != files[INDEX]["sha256"]:
        raise _damaged(shard, f"`{INDEX}` differs from the sha256 in its manifest")
    return shard


def _damaged(shard: Shard, what: str) -> LilliputError:
    action = "delete the folder; it is written again when it is needed"
    return LilliputError(f"the token shard `{shard.folder}` is damaged: {what}", action, Exit.CONTENT)


def tokenizer_of(looked: Looked, name: str | None) -> Tokenizer | None:
    """The tokenizer that `name` says; else the shard's or the recipe's own, None where it is not here.

    Raises LilliputError (CONTENT) where a shard was made with another than the one that `name` says.
    """
    if name is not None:
        tokenizer = open_named(name)
        if looked.shard and tokenizer.fingerprint != looked.shard.manifest["tokenizer"]:
            cause = f"{looked.name} was not made with the tokenizer `{name}`"
            action = "name the one it was made with, a name, a folder or a run's folder `tokenizer`"
            raise LilliputError(cause, action, Exit.CONTENT)
        return tokenizer
    if looked.shard:
        return _with_fingerprint(str(looked.shard.manifest["tokenizer"]))
    if looked.tokenizer and looked.tokenizer.kind != "bpe":
        try:
            return open_tokenizer(looked.tokenizer, None, tokenizers())
        except LilliputError as error:
            if error.code != Exit.UNAVAILABLE:
                raise
    return None


def _with_fingerprint(fingerprint: str) -> Tokenizer | None:
    """A tokenizer of this machine: built in, kept by name, or of a run."""
    if fingerprint == ByteTokenizer.fingerprint:
        return ByteTokenizer()
    if fingerprint == FINGERPRINT:
        return open_named("gpt2")
    folders = [*tokenizers().glob("*"), *runs_root().glob(f"*/{TOKENIZER}")]
    for folder in sorted(folder for folder in folders if (folder / NAME).is_file()):
        try:
            if read_record(folder).get("fingerprint") == fingerprint:
                return load(folder)
        except LilliputError:
            continue  # a damaged one is not the one that is looked for
    return None


def drawn(documents: Iterator[Seen], number: int, seed: int | None) -> list[Seen]:
    """The first documents, or as many drawn evenly at random, in their order."""
    if seed is None:
        return list(islice(documents, number))
    chance, held = random.Random(seed), list[tuple[int, Seen]]()
    for index, one in enumerate(documents):
        if len(held) < number:
            held.append((index, one))
        elif (place := chance.randrange(index + 1)) < number:
            held[place] = index, one
    return [one for _, one in sorted(held, key=lambda pair: pair[0])]
