"""Token shards: the ids of many documents in one flat file, with an index and a manifest."""

import json
import mmap
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import durable
from lilliput.runs.commit import commit_folder
from lilliput.tokens.text import ends_whole, well_formed
from lilliput.tokens.tokenizer import Tokenizer

FORMAT = 1
TOKENS, INDEX, MANIFEST = "tokens.bin", "tokens.idx", "manifest.json"
KINDS = {"documents": int, "tokens": int, "dtype": str, "tokenizer": str, "files": dict, "provenance": dict}
"""Keys without which a manifest is none."""
DOCUMENTS_AT_ONCE, CHARACTERS_AT_ONCE, IDS_AT_ONCE, BYTES_AT_ONCE = 1024, 1 << 22, 1 << 20, 1 << 22

LARGE = 1 << 30
"""Bytes of a shard that may not stay in memory until all that was read ahead is wanted."""

IDs = NDArray[np.unsignedinteger[Any]]
Batch = list[tuple[int, str]]

# Shapes: N tokens, D documents


@dataclass(frozen=True)
class Shard:
    """Documents as begin + text + end, one after another; the tokens are a memory map where there is a folder."""

    tokens: NDArray[np.uint16] | NDArray[np.uint32]  # (N,)
    offsets: NDArray[np.int64]  # (D + 1,) where each document begins, and N
    byte_counts: NDArray[np.int64]  # (D,) bytes of each document's text
    sources: NDArray[np.int32]  # (D,) the number under which the caller passed its source
    manifest: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    @property
    def num_documents(self) -> int:
        return len(self.byte_counts)

    @property
    def num_targets(self) -> int:
        """Tokens that count when the whole shard is predicted once: all but the begins."""
        return self.num_tokens - self.num_documents

    @property
    def bytes(self) -> int:
        """Bytes of all texts."""
        return int(self.byte_counts.sum())

    @property
    def exact_lengths(self) -> bool:
        """True where the tokenizer's lengths add up to the bytes of every document."""
        return bool(self.manifest.get("exact_lengths", True))

    @classmethod
    def open(cls, folder: Path) -> "Shard":
        """Map a shard's files after comparing their sizes with the manifest; hashes are `verify`'s."""
        manifest = _manifest(folder)
        count = manifest["documents"]
        sizes = {TOKENS: np.dtype(manifest["dtype"]).itemsize * manifest["tokens"], INDEX: 20 * count + 8}
        for name, size in sizes.items():
            if not (folder / name).is_file() or (folder / name).stat().st_size != size:
                raise _damaged(folder, f"`{name}` is not the {size} bytes that its manifest implies")
        index = np.memmap(folder / INDEX, np.uint8, "r")  # of ten million documents it is 200 MB
        # An empty file cannot be mapped.
        tokens = np.memmap(folder / TOKENS, manifest["dtype"], "r") if manifest["tokens"] else np.empty(0, np.uint16)
        return cls(
            tokens,
            np.frombuffer(index, "<i8", count + 1),
            np.frombuffer(index, "<i8", count, offset=8 * (count + 1)),
            np.frombuffer(index, "<i4", count, offset=8 * (2 * count + 1)),
            manifest,
            folder,
        )

    def expect_random_access(self) -> None:
        """Tell the system that a large shard will be read here and there: reading ahead would be for nothing."""
        mapped = self.tokens.base
        if isinstance(mapped, mmap.mmap) and len(mapped) > LARGE and hasattr(mmap, "MADV_RANDOM"):
            mapped.madvise(mmap.MADV_RANDOM)

    def verify(self) -> None:
        """Compare the files with the sha256 in the manifest; raises where one differs."""
        if self.folder is None:
            return
        for name in (TOKENS, INDEX):
            record = self.manifest["files"][name]
            with (self.folder / name).open("rb") as file:
                digest = sha256()
                while block := file.read(1 << 20):
                    digest.update(block)
            if digest.hexdigest() != record["sha256"]:
                raise _damaged(self.folder, f"`{name}` differs from the sha256 in its manifest")


def write_shard(
    folder: Path,
    documents: Iterable[tuple[int, str]],
    tokenizer: Tokenizer,
    *,
    max_tokens: int | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Shard:
    """Write pairs (source number, text) as a shard, committed by renaming a finished folder.

    The folder's name is the caller's hash over all that decides the content, so where the folder exists
    already (another process was faster) it is opened instead. `max_tokens` cuts the last document at a whole
    character; its begin and end count.
    """
    commit_folder(
        folder, lambda draft: _write_files(draft, _Writer(documents, tokenizer, max_tokens), provenance or {})
    )
    return Shard.open(folder)


def shard_in_memory(documents: Iterable[tuple[int, str]], tokenizer: Tokenizer) -> Shard:
    """What `write_shard` would write, for a few texts that need no file."""
    writer = _Writer(documents, tokenizer, None)
    tokens = np.frombuffer(b"".join(writer.chunks()), writer.dtype)
    columns = np.array(writer.offsets), np.array(writer.byte_counts), np.array(writer.sources, np.int32)
    return Shard(tokens, *columns, {"exact_lengths": writer.exact})


class _Writer:
    """Documents to bytes, remembering where each begins."""

    def __init__(self, documents: Iterable[tuple[int, str]], tokenizer: Tokenizer, max_tokens: int | None) -> None:
        self.documents, self.tokenizer, self.room = iter(documents), tokenizer, max_tokens
        self.dtype = "<u2" if tokenizer.size <= 1 << 16 else "<u4"
        self.lengths = tokenizer.lengths()
        self.offsets, self.byte_counts, self.sources = array("q", [0]), array("q"), array("i")
        self.exact = True

    def chunks(self) -> Iterator[bytes]:
        """The ids of all documents, a few megabytes at a time; the next ones are read while some are encoded."""
        held = bytearray()
        with ThreadPoolExecutor(1) as worker:
            batch, ids = self._submit(worker)
            while batch:
                following = self._submit(worker)
                for (source, text), found in zip(batch, ids.result(), strict=True):
                    for part in self._document(source, text, found):
                        held += part
                        if len(held) >= BYTES_AT_ONCE:
                            yield bytes(held)
                            held.clear()
                if self.room is not None and self.room < 2:
                    break
                batch, ids = following
        yield bytes(held)

    def _submit(self, worker: ThreadPoolExecutor) -> tuple[Batch, Future[Sequence[IDs]]]:
        batch = self._next_documents()
        return batch, worker.submit(self.tokenizer.encode_many, [text for _, text in batch])

    def _next_documents(self) -> Batch:
        batch, characters = list[tuple[int, str]](), 0
        for source, text in islice(self.documents, DOCUMENTS_AT_ONCE):
            batch.append((source, well_formed(text)))
            characters += len(text)
            if characters > CHARACTERS_AT_ONCE:
                break
        return batch

    def _document(self, source: int, text: str, ids: IDs) -> Iterator[bytes]:
        size = len(text) if text.isascii() else len(text.encode())
        if self.room is not None:
            if self.room < 2:  # no room for begin and end
                return
            if len(ids) + 2 > self.room:
                ids = self._cut(ids[: self.room - 2])
                size = sum(len(self.tokenizer.decode_bytes(part.tolist())) for part in _parts(ids))
                self.room = 0
            else:
                self.room -= len(ids) + 2
        self.exact = self.exact and sum(int(self.lengths[part].sum()) for part in _parts(ids)) == size
        self.offsets.append(self.offsets[-1] + len(ids) + 2)
        self.byte_counts.append(size)
        self.sources.append(source)
        yield np.array(self.tokenizer.begin, self.dtype).tobytes()
        yield from (part.astype(self.dtype).tobytes() for part in _parts(ids))
        yield np.array(self.tokenizer.end, self.dtype).tobytes()

    def _cut(self, ids: IDs) -> IDs:
        """`ids` without a tail that ends inside a character."""
        for keep in range(len(ids), max(0, len(ids) - 4), -1):
            if ends_whole(self.tokenizer.decode_bytes(ids[max(0, keep - 4) : keep].tolist())):
                return ids[:keep]
        return ids[:0]


def _parts(ids: IDs) -> Iterator[IDs]:
    """`ids` in slices, so that what is made of a long document needs little room."""
    return (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))


def _write_files(draft: Path, writer: _Writer, provenance: Mapping[str, Any]) -> None:
    tokens = durable.write_new(draft / TOKENS, writer.chunks())
    columns = (writer.offsets, "<i8"), (writer.byte_counts, "<i8"), (writer.sources, "<i4")
    index = durable.write_new(draft / INDEX, [np.asarray(values, kind).tobytes() for values, kind in columns])
    manifest = {
        "format": FORMAT,
        "tokenizer": writer.tokenizer.fingerprint,
        "vocabulary": writer.tokenizer.size,
        "dtype": writer.dtype,
        "documents": len(writer.byte_counts),
        "tokens": writer.offsets[-1],
        "bytes": sum(writer.byte_counts),
        "exact_lengths": writer.exact,
        "files": {name: {"size": r.size, "sha256": r.sha256} for name, r in ((TOKENS, tokens), (INDEX, index))},
        "provenance": dict(provenance),
    }
    durable.write_new(draft / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise _damaged(folder, f"its `{MANIFEST}` cannot be read ({reason})") from error
    if found != FORMAT:
        action = "install the lilliput that wrote it, or delete the folder to have it written again"
        raise LilliputError(f"`{folder}` is a shard of format {found}, not {FORMAT}", action, Exit.UNAVAILABLE)
    if not all(isinstance(manifest.get(name), kind) for name, kind in KINDS.items()) or not _counts(manifest):
        raise _damaged(folder, f"its `{MANIFEST}` lacks what belongs into it")
    return manifest


def _counts(manifest: Mapping[str, Any]) -> bool:
    hashes = (manifest["files"].get(name) for name in (TOKENS, INDEX))
    has_hashes = all(isinstance(record, dict) and isinstance(record.get("sha256"), str) for record in hashes)
    return has_hashes and manifest["dtype"] in ("<u2", "<u4") and manifest["documents"] >= 0 and manifest["tokens"] >= 0


def _damaged(folder: Path, what: str) -> LilliputError:
    return LilliputError(
        f"the token shard `{folder}` is damaged: {what}",
        "delete the folder; it is written again when it is needed",
        Exit.CONTENT,
    )
