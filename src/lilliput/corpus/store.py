"""Cleaned documents on the disk: one folder per piece of a source, with the funnel that counts what was left out."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import zstandard

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.cleaning import Funnel
from lilliput.corpus.document import Document
from lilliput.corpus.files import opened
from lilliput.runs import durable

FORMAT = 1
DOCUMENTS, FUNNEL = "documents.jsonl.zst", "funnel.json"
BLOCK = 1 << 20
LEVEL = 1
"""Of zstandard: the fastest, since these files are read once or twice and made anew whenever they are missing."""


def write(draft: Path, documents: Iterable[Document], funnel: Funnel) -> None:
    """Fill a new folder with documents; `funnel` is written last, when all documents have passed it."""
    kept = Counter[str]()
    record = durable.write_new(draft / DOCUMENTS, _packed(_rows(documents, kept)))
    content = {"size": record.size, "documents": kept["documents"], "funnel": vars(funnel)}
    durable.write_new(draft / FUNNEL, (json.dumps(content, indent=1) + "\n").encode())


def _rows(documents: Iterable[Document], kept: Counter[str]) -> Iterator[bytes]:
    for document in documents:
        row = (document.key, document.text, document.part, document.source, document.group)
        kept["documents"] += 1
        yield (json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _packed(rows: Iterable[bytes]) -> Iterator[bytes]:
    packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
    for row in rows:
        if block := packer.compress(row):
            yield block
    yield packer.flush()


def read(folder: Path) -> Iterator[Document]:
    """The documents of a folder. Raises LilliputError (CONTENT) where it is damaged."""
    expected, found = _record(folder)["documents"], 0
    for line in _lines(folder):
        try:
            key, text, part, source, group = json.loads(line)
        except ValueError as error:
            raise _damaged(folder, str(error)) from None
        found += 1
        yield Document(text, source, key, part, group)
    if found != expected:
        raise _damaged(folder, f"{found} documents are not {expected}")


def _lines(folder: Path) -> Iterator[bytes]:
    held = b""
    with opened(folder / DOCUMENTS) as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        try:
            while block := stream.read(BLOCK):
                *whole, held = (held + block).split(b"\n")
                yield from whole
        except zstandard.ZstdError as error:
            raise _damaged(folder, str(error)) from None


def count(folder: Path) -> int:
    """How many documents a folder holds."""
    return int(_record(folder)["documents"])


def funnel(folder: Path) -> Funnel:
    """What was counted when a folder was written."""
    told = _record(folder)["funnel"]
    examples = {reason: [(key, text) for key, text in pairs] for reason, pairs in told["examples"].items()}
    counters = {name: Counter(told[name]) for name in ("dropped", "edited")}
    return Funnel(**{**told, **counters, "examples": examples})


def _record(folder: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads((folder / FUNNEL).read_text("utf-8"))
        size = (folder / DOCUMENTS).stat().st_size
        is_right = record["size"] == size and {"documents", "funnel"} <= record.keys()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, str(error)) from None
    if not is_right:
        raise _damaged(folder, f"`{DOCUMENTS}` is {size} bytes long, which its record denies")
    return record


def _damaged(folder: Path, what: str) -> LilliputError:
    cause = f"the cleaned documents in `{folder}` are damaged: {' '.join(what.split())}"
    return LilliputError(cause, "delete the folder; it is made again when it is needed", Exit.CONTENT)
