"""The metrics log: one strict JSON object per line, appended whole, cut back to the checkpoint when a run resumes."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lilliput.runs import durable
from lilliput.runs.damage import Damaged

CLOCK_KEYS = (
    *("time", "seconds", "tokens_per_s", "updates_per_s", "micro_steps_per_s"),
    *("mfu", "data_wait", "memory", "memory_total"),
)
"""What the clock and the machine decide; everything else of two identical runs is identical."""


class MetricsLog:
    """An append-only log of records (metrics, samples and their like); the file appears with the first one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._appender: durable.Appender | None = None

    def write(self, *records: Mapping[str, Any]) -> None:
        """Append records, all in one write call; non-finite numbers become "NaN", "Infinity" and "-Infinity"."""
        if records:
            self._open().write(b"".join(map(encode, records)))

    def sync(self) -> None:
        """Bring the log to the disk: to be called before the checkpoint that covers it."""
        if self._appender is not None:
            self._appender.sync()

    def size(self) -> int:
        """Bytes so far; stored in a checkpoint, it tells `cut` what of the checkpoint's own step was already there."""
        if self._appender is not None:
            return self._appender.size
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, step: int, size: int | None = None) -> int:
        """Drop the records of later steps, those beyond `size` bytes and a torn last line; returns how many bytes went.

        A record without a step goes with the first dropped one before it.
        """
        self.close()
        if not self.path.exists():
            return 0
        keep = _length_until(self.path, step, size)
        dropped = self.path.stat().st_size - keep
        if dropped:
            temporary = durable.scratch(self.path.parent, self.path.name)
            durable.write_new(temporary, _first_bytes(self.path, keep))
            durable.rename(temporary, self.path)
            durable.sync_dir(self.path.parent)
        return dropped

    def close(self) -> None:
        if self._appender is not None:
            self._appender.close()
            self._appender = None

    def _open(self) -> durable.Appender:
        if self._appender is None:
            self._appender = durable.Appender(self.path)
        return self._appender


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The log's records; a torn last line is passed over, any other malformed one raises Damaged with its number."""
    if path.exists():
        for _, record in _lines(path):
            yield record


def last(path: Path, kind: str = "step", within: int = 1 << 16) -> dict[str, Any]:
    """The last record of a kind among the log's final bytes, found without reading the rest; empty if there is none."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - within))
        for line in reversed(file.read(within).split(b"\n")[:-1]):
            with suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict) and record.get("kind") == kind:
                    return record
    return {}


def encode(record: Mapping[str, Any]) -> bytes:
    """One record as a line of strict JSON in UTF-8; a lone surrogate in a text is escaped."""
    text = json.dumps(_strict(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def without_clock(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The records as two identical runs share them."""
    return [{key: value for key, value in record.items() if key not in CLOCK_KEYS} for record in records]


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    return value


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(where a line ends, its record), without a torn last line."""
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line, parse_constant=_no_constant)
            except (ValueError, RecursionError):
                raise Damaged(path, f"line {number} is no JSON") from None
            if not isinstance(record, dict):
                raise Damaged(path, f"line {number} is no record")
            end += len(line)
            yield end, record


def _length_until(path: Path, step: int, size: int | None) -> int:
    keep = 0
    try:
        for end, record in _lines(path):
            if record.get("step", 0) > step or (size is not None and end > size):
                break
            keep = end
    except Damaged:  # a power cut may leave zeros or gaps where nothing was synced, which is after `size`
        if size is not None and keep < size:
            raise
    return keep


def _first_bytes(path: Path, count: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while count and (part := file.read(min(count, durable.WRITE_BYTES))):
            count -= len(part)
            yield part


def _no_constant(literal: str) -> None:
    raise ValueError(literal)
