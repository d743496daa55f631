"""Fetching: one address or one hub data set becomes one file, whole or not at all."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import BLOCK, digest, shown
from lilliput.corpus.hub import Remote, matches
from lilliput.corpus.published import Hub, Web
from lilliput.runs import durable

SECONDS = 30
"""Time without a byte after which a server is given up."""


@dataclass(frozen=True)
class Fetched:
    """What is recorded of a download: where from, which revision, and what came."""

    origin: str
    revision: str
    size: int
    sha256: str


def from_web(remote: Web, path: Path, missing: str, action: str) -> Fetched:
    """Download an address whose content is known into `path`.

    Raises LilliputError: UNAVAILABLE, or CONTENT where other bytes came than the pinned ones.
    """
    temporary = durable.scratch(path.parent, path.name)
    record = durable.write_new(temporary, _body(remote, missing, action))
    if record.sha256 != remote.sha256:
        durable.remove(temporary)
        cause = f"{remote.url} sent other content than expected: {record.size:,} bytes, sha256 {record.sha256[:16]}"
        raise LilliputError(cause, action, Exit.CONTENT)
    durable.rename(temporary, path)
    durable.sync_dir(path.parent)
    return Fetched(remote.url, remote.sha256, record.size, record.sha256)


def _body(remote: Web, missing: str, action: str) -> Iterator[bytes]:
    """What the server sends, up to one byte more than expected: an endless answer ends, too."""
    left = remote.size + 1
    try:
        with urllib.request.urlopen(remote.url, timeout=SECONDS) as answer:
            while block := answer.read(min(BLOCK, left)):
                left -= len(block)
                yield block
            if left and answer.length:
                raise http.client.IncompleteRead(b"", answer.length)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the answer, too, and holds the connection
        raise _unavailable(missing, remote.url, error, action) from None


def _unavailable(missing: str, place: str, error: Exception, action: str) -> LilliputError:
    error = error.reason if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError) else error
    reason = " ".join((str(error) or type(error).__name__).lower().split())[:200]
    return LilliputError(f"{missing} and {place} cannot be reached: {reason}", action, Exit.UNAVAILABLE)


def from_hub(remote: Hub, path: Path, missing: str, action: str) -> Fetched:
    """Download the matching files of a hub data set into one text file; `HF_ENDPOINT` names another hub.

    Raises LilliputError: UNAVAILABLE without the network, or without pyarrow where the set is parquet.
    """
    if remote.pattern.endswith(".parquet"):
        _parquet(missing, action)
    folder = path.parent / "hub"
    revision, files = _from_hub(remote, folder, missing, action)
    if remote.pattern.endswith(".parquet"):
        temporary = durable.scratch(path.parent, path.name)
        record = durable.write_new(temporary, _rows(files, missing, action))
        durable.rename(temporary, path)
        size, sha256 = record.size, record.sha256
    else:
        durable.rename(files[0], path)
        size, sha256 = digest(path)
    durable.sync_dir(path.parent)
    durable.remove_tree(folder)
    return Fetched(f"hub: {remote.repository}/{remote.pattern}", revision, size, sha256)


def _from_hub(remote: Hub, folder: Path, missing: str, action: str) -> tuple[str, list[Path]]:
    """(revision, files) of a data set, downloaded below `folder`."""
    import huggingface_hub
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        info = huggingface_hub.HfApi(endpoint=endpoint).dataset_info(remote.repository)
        revision = str(info.sha)
        names = sorted(each.rfilename for each in info.siblings or [] if _is_named(each.rfilename, remote.pattern))
        if not names:
            raise FileNotFoundError(f"no file {remote.pattern}")
        return revision, [_verified(remote.repository, name, revision, folder, endpoint) for name in names]
    except (OSError, HTTPError) as error:
        raise _unavailable(missing, f"the hub's {remote.repository}", error, action) from None


def _verified(repository: str, name: str, revision: str, folder: Path, endpoint: str | None) -> Path:
    """One file below `folder`, compared with the checksum that the hub announces.

    Raises LilliputError (CONTENT) where other bytes came twice.
    """
    import huggingface_hub
    from huggingface_hub import hf_hub_download, hf_hub_url

    place: dict[str, Any] = {"repo_type": "dataset", "revision": revision, "endpoint": endpoint}
    told = huggingface_hub.get_hf_file_metadata(hf_hub_url(repository, name, **place), endpoint=endpoint)
    announced = Remote(name, told.size or 0, told.etag or "")
    for again in (False, True):
        path = Path(hf_hub_download(repository, name, local_dir=folder, force_download=again, **place))
        if matches(path, announced):
            return path
        durable.remove(path)
    cause = f"the hub sent other bytes of {repository}/{shown(name)} than it announced"
    raise LilliputError(cause, "try again later, or from another network", Exit.CONTENT)


def _is_named(name: str, pattern: str) -> bool:
    """True for a file of the pattern's own folder: a hub never chooses where its files go."""
    return name.count("/") == pattern.count("/") and "\\" not in name and fnmatchcase(name, pattern)


def _rows(files: list[Path], missing: str, action: str) -> Iterator[bytes]:
    """WikiText's rows as the lines they were: each keeps its line feed, and "" is a blank line."""
    for file in files:
        try:
            for batch in _parquet(missing, action).ParquetFile(file).iter_batches(columns=["text"]):
                yield "".join(text or " \n" for text in batch.column(0).to_pylist()).encode()
        except (KeyError, ValueError) as error:  # pyarrow's own errors are ValueErrors
            cause = f"{shown(file.name)} is no parquet file with a column `text`: {str(error).lower()[:100]}"
            raise LilliputError(cause, "try again later", Exit.CONTENT) from None


def _parquet(missing: str, action: str) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        cause = f"{missing}, and reading it from the hub needs the package pyarrow"
        raise LilliputError(cause, f"pip install 'lilliput[data]', then {action}", Exit.UNAVAILABLE) from None
    return pyarrow.parquet
