"""Checkpoints on disk: committed by one rename, verified before use, found newest to oldest, retired with care.

A checkpoint is a directory `step-00000500`: its files and a MANIFEST.json that holds size and sha256 of each, and its
own hash. Order is the digits of the name; clocks and file times play no part. A step that is committed once more is
called `step-00000500-2`: no rename swaps two directories, and the first must not vanish before the second is there.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import durable
from lilliput.runs.damage import Damaged
from lilliput.runs.durable import FileRecord
from lilliput.runs.sealed import SEAL, format_of, hash_file, regular_file, seal, unseal

FORMAT = 1
MANIFEST, MODEL, OPTIMIZER, STATE = "MANIFEST.json", "model.safetensors", "optimizer.safetensors", "state.json"
RECORD = {"size": int, "sha256": str}
NAME = re.compile(r"step-([0-9]{8,})(?:-([0-9]+))?")
BAD = ".bad-"

Manifest = dict[str, Any]
Write = Callable[[Path], Mapping[str, FileRecord]]
"""Writes its files into the directory it is given and returns their records by name."""


@dataclass(frozen=True)
class Recovered:
    """The newest intact checkpoint, its manifest, and what was found wrong on the way to it."""

    path: Path | None = None
    manifest: Manifest = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def commit(folder: Path, step: int, write: Write, manifest: Mapping[str, Any] | None = None) -> Path:
    """Make what `write` puts into a temporary directory the newest checkpoint, all or nothing.

    `manifest` is what the run adds (`run` = its id, fingerprints, `rolling` = replaced by the next save). Once this
    returns, neither a kill nor a power cut loses the checkpoint. Raises OSError; those before it are untouched.
    """
    durable.make_dir(folder)
    temporary = durable.scratch(folder, str(step))
    try:
        durable.make_dir(temporary, new=True, lasting=False)
        files = {name: asdict(record) for name, record in write(temporary).items()}
        document = {**(manifest or {}), **_lineage(folder), "format": FORMAT, "step": step, "files": files}
        durable.write_new(temporary / MANIFEST, seal(document))
        durable.sync_dir(temporary)
        target = _free_name(folder, step)
        durable.rename(temporary, target)
    except BaseException:
        with suppress(OSError):
            durable.remove_tree(temporary)
        raise
    durable.sync_dir(folder)
    return target


def newest(folder: Path, *, run: str | None = None, repair: bool = True) -> Recovered:
    """The newest checkpoint whose every byte is as it was written; none where the folder never had one.

    With `repair`, for which the caller holds the run's lock, a damaged one is renamed `.bad-*` and given its reason,
    and leftovers of dead processes are removed. Checkpoints of another `run` are passed over, never touched. Raises
    LilliputError with Exit.MISSING where there are only damaged ones, with Exit.UNAVAILABLE for a newer format.
    """
    if not folder.is_dir():
        return Recovered()
    if repair:
        durable.sweep(folder)
    problems = []
    for _, path in reversed(listing(folder)):
        try:
            manifest = verify(path)
        except Damaged as damage:
            problems.append(f"{path.name}: {damage.reason}")
            if repair:
                _quarantine(path, damage.reason)
            continue
        if run is None or manifest.get("run") == run:
            return Recovered(path, manifest, problems)
        problems.append(f"{path.name}: belongs to another run")
    problems += [f"{path.name}: set aside earlier" for path in sorted(folder.glob(f"{BAD}*"))]
    if problems:
        cause = f"no intact checkpoint in {folder}: {'; '.join(dict.fromkeys(problems))}"
        raise LilliputError(cause, "restore a checkpoint from a copy, or start a new run", Exit.MISSING)
    return Recovered()


def verify(path: Path) -> Manifest:
    """Re-hash a checkpoint and return its manifest; raises Damaged, or Exit.UNAVAILABLE for a newer format."""
    manifest = read_manifest(path)
    for name, record in manifest["files"].items():
        _verify_file(path / name, FileRecord(**record))
    return manifest


def read_manifest(path: Path) -> Manifest:
    """A checkpoint's manifest, checked against its own hash and its directory's name; the files are not looked at."""
    manifest = unseal(path / MANIFEST)
    format_of(path / MANIFEST, manifest, FORMAT)
    files, name = manifest.get("files"), NAME.fullmatch(path.name)
    if name and manifest.get("step") != int(name[1]):
        raise Damaged(path, f"its name and its manifest disagree: step {manifest.get('step')}")
    if not isinstance(files, dict) or not all(_is_record(key, value) for key, value in files.items()):
        raise Damaged(path, "its manifest lists no files")
    return manifest


def listing(folder: Path) -> list[tuple[int, Path]]:
    """All committed checkpoints, oldest first, as (step, path); whether they are intact is `verify`'s to say."""
    if not folder.is_dir():
        return []
    found = [(match, path) for path in folder.iterdir() if (match := NAME.fullmatch(path.name))]
    return [(int(match[1]), path) for match, path in sorted(found, key=lambda pair: _order(pair[0]))]


def retain(folder: Path, keep: int, pinned: set[int], *, run: str | None = None) -> list[int]:
    """Retire all but the `keep` newest (at least one) and the pinned; returns the steps that are gone.

    A rolling checkpoint is not counted and goes when there is a newer one; so does an earlier commit of the same step.
    Never retired: the newest intact one, what another `run` wrote, and what is damaged (recovery sets that aside).
    """
    own = [(step, path, found) for step, path in reversed(listing(folder)) if (found := _own_manifest(path, run))]
    latest: dict[int, Path] = {}
    for step, path, _ in own:
        latest.setdefault(step, path)
    regular = [path for step, path, found in own if path == latest[step] and not found.get("rolling")]
    newest_of_all = [path for _, path, _ in own[:1]]
    kept = {*newest_of_all, *regular[: max(keep, 1)], *(latest[step] for step in pinned & set(latest))}
    doomed = [(step, path) for step, path, _ in own if path not in kept]
    if not doomed or (safe := _newest_intact(path for _, path, _ in own)) is None:
        return []
    for _, path in (retired := [pair for pair in doomed if pair[1] != safe]):
        durable.remove_tree(path)
    return sorted({step for step, path in retired if path == latest[step]})


def _order(name: re.Match[str]) -> tuple[int, int]:
    return int(name[1]), int(name[2] or 1)


def _free_name(folder: Path, step: int) -> Path:
    orders = [_order(match) for path in folder.iterdir() if (match := NAME.fullmatch(path.name))]
    times = max((time for other, time in orders if other == step), default=0)
    return folder / (f"step-{step:08d}-{times + 1}" if times else f"step-{step:08d}")


def _lineage(folder: Path) -> Manifest:
    """Sequence number of the next checkpoint and the hash of the manifest before it."""
    for _, path in reversed(listing(folder)):
        with suppress(LilliputError):
            last = read_manifest(path)
            return {"sequence": last["sequence"] + 1, "parent": last[SEAL]}
    return {"sequence": 1, "parent": None}


def _own_manifest(path: Path, run: str | None) -> Manifest | None:
    with suppress(LilliputError):
        manifest = read_manifest(path)
        return manifest if run is None or manifest.get("run") == run else None
    return None


def _newest_intact(paths: Iterable[Path]) -> Path | None:
    for path in paths:
        with suppress(LilliputError):
            verify(path)
            return path
    return None


def _quarantine(path: Path, reason: str) -> None:
    aside = next(name for number in count(1) if not (name := path.with_name(f"{BAD}{path.name}-{number}")).exists())
    durable.rename(path, aside)
    durable.sync_dir(path.parent)
    with suppress(OSError):  # the reason is also in the run's log; a disk that damages files may refuse this one
        durable.write_new(aside / "REASON", f"{reason}\n".encode())


def _is_record(name: object, record: object) -> bool:
    plain = isinstance(name, str) and name not in ("", ".", "..", MANIFEST) and not set(name) & set("/\\:\0")
    return plain and isinstance(record, dict) and {key: type(value) for key, value in record.items()} == RECORD


def _verify_file(path: Path, record: FileRecord) -> None:
    try:
        with regular_file(path) as descriptor:
            if (size := os.fstat(descriptor).st_size) != record.size:
                raise Damaged(path, f"{path.name} has {size} bytes instead of {record.size}")
            if hash_file(descriptor) != record.sha256:
                raise Damaged(path, f"{path.name} differs from its hash")
    except OSError as error:
        raise Damaged(path, f"{path.name} cannot be read: {error.strerror}") from None
