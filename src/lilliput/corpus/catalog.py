"""Reading a recipe's data: the documents of one part, source by source, within their limits."""

from collections import Counter
from collections.abc import Iterator, Sequence

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.document import Document, Part
from lilliput.corpus.emptied import emptied
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.entry import Entry, limited
from lilliput.corpus.split import SplitConfig, divide


def read(
    sources: Sequence[Entry],
    split: SplitConfig,
    reading: Reading,
    part: Part,
    dropped: Counter[str] | None = None,
) -> Iterator[tuple[int, Document]]:
    """(source index, document) of one part; `max_tokens` is left to whoever has a tokenizer.

    `dropped` counts by reason what was left out. A part without a share gives nothing.
    Raises LilliputError (CONTENT) where a part with a share would be empty: for training, of any source.
    """
    found, dropped = 0, Counter[str]() if dropped is None else dropped
    for index, source in enumerate(sources):
        before, already = found, Counter(dropped)
        for document in part_of(source, split, Reader(reading, dropped), part):
            found += 1
            yield index, document
        if part == "train" and found == before:
            raise _empty(source.label, split, part, dropped - already)
    if not found and split.share(part) > 0:
        raise _empty(", ".join(source.label for source in sources), split, part, dropped)


def read_whole(
    sources: Sequence[Entry], reading: Reading, dropped: Counter[str] | None = None
) -> Iterator[tuple[int, Document]]:
    """(source index, document) of sources that serve as validation sets: their official validation part, or all.

    Raises LilliputError (CONTENT) where a source is empty.
    """
    for index, source in enumerate(sources):
        part: Part | None = "validation" if "validation" in source.parts else None
        empty, reader = True, Reader(reading)
        for document in limited(source.documents(reader, part), source):
            empty = False
            yield index, document
        if dropped is not None:
            dropped.update(reader.dropped)
        if empty:
            cause, action = f"{source.label} holds no text", "name another validation source"
            raise emptied(cause, reader.dropped) or LilliputError(cause, action, Exit.CONTENT)


def part_of(source: Entry, split: SplitConfig, reader: Reader, part: Part) -> Iterator[Document]:
    """The documents of one part of one source, possibly none."""
    if source.parts and split.kind in ("auto", "official"):
        if part in source.parts:
            yield from limited(source.documents(reader, part), source)
        elif part == "train":
            cause = f"{source.label}: there is no train part here, only {' and '.join(source.parts)}"
            action = "divide what is there with `data.split.kind=hash`, or unset LILLIPUT_DATA to download the set"
            raise LilliputError(cause, action, Exit.MISSING)
        return
    if split.kind == "official":
        cause, action = f"{source.label} has no official parts", "set `data.split.kind` to auto, tail or hash"
        raise LilliputError(cause, action, Exit.RECIPE)
    passes: list[Reader] = []

    def documents() -> Iterator[Document]:
        passes.append(Reader(reader.reading))
        return limited(source.documents(passes[-1]), source)

    yield from divide(documents, split, part)
    reader.dropped.update(passes[-1].dropped)  # of the last pass alone: the earlier ones only measured


def _empty(name: str, split: SplitConfig, part: Part, dropped: Counter[str]) -> LilliputError:
    if refused := emptied(f"{name}: the {part} part is empty", dropped):
        return refused
    cause = f"{name}: the {part} part is empty (split {split.kind}, share {split.share(part):g})"
    unwanted = "validation" if part == "train" else part
    action = f"give files with text, and enough of it to divide, or set `data.split.{unwanted}=0`"
    if split.kind == "hash" and part == "train":
        action = "give more documents, or set `data.split=auto`, which cuts a single document at its tail"
    return LilliputError(cause, action, Exit.CONTENT)
