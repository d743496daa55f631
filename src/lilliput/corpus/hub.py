"""The hub of data sets: which files a split has, one of them fetched and verified, or its rows as they come."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import BLOCK, opened, shown
from lilliput.runs import durable

CARDS = ("README.md", ".huggingface.yaml")
"""Where a set may say which files are its data."""
TRIES = 3
"""Attempts for one file whose content is not what the hub announced."""


@dataclass(frozen=True)
class Remote:
    """One file of a set."""

    path: str
    size: int
    digest: str
    """sha256, or, for what the hub keeps in git, git's own hash (40 digits)."""


@dataclass(frozen=True)
class Split:
    """One split of one subset of a set, at one revision."""

    repository: str
    subset: str | None
    split: str
    revision: str
    files: tuple[Remote, ...]
    builder: Any
    """`datasets`' own view of it, for streaming."""
    num_bytes: int | None
    num_rows: int | None

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


def find_split(repository: str, subset: str | None, split: str, revision: str | None, here: str) -> Split:
    """Ask the hub for a split; `HF_ENDPOINT` names another hub. Nothing that a set holds is ever executed.

    `here` opens the messages, e.g. `openwebtext is not here`.
    Raises LilliputError: UNAVAILABLE (no network, gated, unknown, a script, no extra), RECIPE (subset or split).
    """
    datasets = library(here)
    with explained(repository, here):
        api = _api(datasets)
        info = api.dataset_info(repository, revision=revision)
        _refuse_scripts(repository, [each.rfilename for each in info.siblings or []], here)
        _refuse_addresses(api, repository, str(info.sha), [each.rfilename for each in info.siblings or []])
        builder = _builder(datasets, repository, subset, str(info.sha))
        found = {str(name): files for name, files in (builder.config.data_files or {}).items()}
        if split not in found:
            raise _wrong("split", split, list(found), repository)
        names = [_path(address, repository, str(info.sha)) for address in found[split]]
        entries = {entry.path: entry for entry in _entries(api, repository, names, str(info.sha))}
    described = (builder.info.splits or {}).get(split)
    return Split(
        repository,
        subset,
        split,
        str(info.sha),
        tuple(_remote(entries[name]) for name in names if name in entries),
        builder,
        getattr(described, "num_bytes", None) or None,
        getattr(described, "num_examples", None) or None,
    )


def library(here: str) -> Any:
    """The module datasets.

    Raises LilliputError (UNAVAILABLE) where the extra is not installed.
    """
    try:
        import datasets
    except ImportError:
        cause = f"{here}, and reading it from the hub needs the package datasets"
        raise LilliputError(cause, "pip install 'lilliput[data]'", Exit.UNAVAILABLE) from None
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()  # what goes wrong is said here, once
    return datasets


def _api(datasets: Any) -> Any:
    import huggingface_hub

    huggingface_hub.utils.disable_progress_bars()  # type: ignore[attr-defined]
    huggingface_hub.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    return huggingface_hub.HfApi(endpoint=datasets.config.HF_ENDPOINT)


def _builder(datasets: Any, repository: str, subset: str | None, revision: str) -> Any:
    try:
        return datasets.load_dataset_builder(repository, subset, revision=revision)
    except ValueError as error:
        words = str(error)
        if known := re.search(r"\[('.*')\]|available configs: \[(.*?)\]", words, re.DOTALL):
            names = re.findall(r"'([^']+)'", known[0])
            raise _wrong("subset", subset, names, repository) from None
        cause = f"the hub's {repository} cannot be read: {one_line(words)}"
        raise LilliputError(cause, "name another set", Exit.UNAVAILABLE) from None


def _wrong(what: str, name: str | None, known: list[str], repository: str) -> LilliputError:
    cause = f"the hub's {repository} has no {what} {name!r}" if name else f"the hub's {repository} needs a {what}"
    shown_names = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    return LilliputError(cause, f"set `{what}` to one of: {shown_names or 'none'}", Exit.RECIPE)


def _refuse_scripts(repository: str, names: list[str], here: str) -> None:
    """A loading script is a set's own program: it is refused by name, whatever else lies beside it."""
    script = f"{repository.rpartition('/')[2]}.py"
    if script in names:
        cause = f"{here}: the hub's {repository} is a program ({script}), and none of it is ever run"
        action = "name a mirror of it in parquet, or set `revision: refs/convert/parquet` if the hub made one"
        raise LilliputError(cause, action, Exit.UNAVAILABLE)


def _refuse_addresses(api: Any, repository: str, revision: str, names: list[str]) -> None:
    """A set's card says which files are its data: of its own, never of this machine or of another address."""
    from huggingface_hub.repocard import metadata_load

    for name in CARDS:
        if name in names:
            path = Path(api.hf_hub_download(repository, name, repo_type="dataset", revision=revision))
            try:
                card = metadata_load(path) if name.endswith(".md") else yaml.safe_load(path.read_text("utf-8"))
            except (yaml.YAMLError, ValueError):
                cause = f"the card {name} of the hub's {repository} cannot be read"
                raise LilliputError(cause, "name another set", Exit.CONTENT) from None
            for word in _words(card.get("configs") if isinstance(card, dict) else None):
                if "://" in word or not is_inside(word):
                    cause = f"the hub's {repository} names a file {shown(word)!r} outside of the set"
                    raise LilliputError(cause, "name another set: this one is not to be trusted", Exit.CONTENT)


def _words(configs: Any) -> Iterator[str]:
    """All patterns of files that a card's `configs` say."""
    if isinstance(configs, str):
        yield configs or "."
    elif isinstance(configs, list):
        for each in configs:
            yield from _words(each)
    elif isinstance(configs, dict):
        for key in ("data_files", "data_dir", "path"):
            yield from _words(configs.get(key))
        if "data_files" not in configs and "path" not in configs and "config_name" not in configs:
            for value in configs.values():  # {split: pattern}
                yield from _words(value)


def _path(address: str, repository: str, revision: str) -> str:
    """The path within the set of an address as `datasets` gives it; a set could name files of others'."""
    root = f"hf://datasets/{repository}@{revision}/"
    path = str(address).removeprefix(root)
    if path == address or not is_inside(path):
        cause = f"the hub's {repository} names a file {shown(path)!r} outside of the set"
        raise LilliputError(cause, "name another set: this one is not to be trusted", Exit.CONTENT)
    return path


def is_inside(path: str) -> bool:
    """True for a path that stays in its folder under the rules of every system."""
    parts = PurePosixPath(path).parts
    return path == "." or (bool(parts) and not any(part in ("..", "/") or set(part) & set("\\:\0\n") for part in parts))


def _entries(api: Any, repository: str, names: list[str], revision: str) -> Iterator[Any]:
    for start in range(0, len(names), 500):
        yield from api.get_paths_info(repository, names[start : start + 500], revision=revision, repo_type="dataset")


def _remote(entry: Any) -> Remote:
    return Remote(entry.path, int(entry.size), entry.lfs.sha256 if entry.lfs else entry.blob_id)


def fetch(split: Split, file: Remote, folder: Path, here: str) -> Path:
    """Download one file below `folder` and compare it with what the hub announced.

    Raises LilliputError: UNAVAILABLE, or CONTENT where other bytes came.
    """
    import huggingface_hub

    datasets = library(here)
    for attempt in range(TRIES):
        with explained(split.repository, here):
            path = Path(
                huggingface_hub.hf_hub_download(
                    split.repository,
                    file.path,
                    repo_type="dataset",
                    revision=split.revision,
                    local_dir=folder,
                    endpoint=datasets.config.HF_ENDPOINT,
                    force_download=attempt > 0,
                )
            )
        if matches(path, file):
            return path
        durable.remove(path)
    cause = f"{here}: the hub sent other bytes of {shown(file.path)} than it announced, {TRIES} times"
    raise LilliputError(cause, "try again later, or from another network", Exit.CONTENT)


def matches(path: Path, file: Remote) -> bool:
    """True where a file is what the hub announced."""
    if path.stat().st_size != file.size:
        return False
    digest = hashlib.sha256() if len(file.digest) == 64 else hashlib.sha1(b"blob %d\0" % file.size)
    with opened(path) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest() == file.digest


def stream(split: Split, columns: tuple[str, ...], skip: int, here: str) -> Iterator[dict[str, Any]]:
    """Rows of a split as they come, without `skip` first ones; only `columns` of each.

    Raises LilliputError: RECIPE for a column that the set has not, UNAVAILABLE.
    """
    with explained(split.repository, here):
        rows = split.builder.as_streaming_dataset(split=split.split)
        for number, row in enumerate(rows.skip(skip) if skip else rows):
            if number == 0:
                _insist(columns, list(row), split.repository)
            yield {column: row[column] for column in columns}


def _insist(columns: tuple[str, ...], known: list[str], repository: str) -> None:
    for column in columns:
        if column not in known:
            cause = f"the hub's {repository} has no column `{column}`; it has {', '.join(map(repr, known))}"[:300]
            raise LilliputError(cause, "set `text_column` to the one that holds the text", Exit.RECIPE)


@contextmanager
def explained(repository: str, here: str) -> Iterator[None]:
    """What the libraries raise, as one line of cause and one of action."""
    from huggingface_hub import errors

    try:
        yield
    except LilliputError:
        raise
    except errors.GatedRepoError:
        raise _gated(repository, here) from None
    except errors.RepositoryNotFoundError:
        cause = f"{here}, and the hub knows no set {repository!r} (or hides it from you)"
        action = "check the name, OWNER/SET; for a private one set HF_TOKEN; for a folder write ./FOLDER"
        raise LilliputError(cause, action, Exit.UNAVAILABLE) from None
    except errors.RevisionNotFoundError:
        cause, action = f"{here}, and the hub's {repository} has no such revision", "leave `revision` out"
        raise LilliputError(cause, action, Exit.UNAVAILABLE) from None
    except errors.HFValidationError:
        cause, action = f"{repository!r} is no name of a set of the hub", "write OWNER/SET, or ./PATH for files"
        raise LilliputError(cause, action, Exit.RECIPE) from None
    except FileNotFoundError as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise unreachable(repository, here, error) from None
        if "gated dataset" in str(error):  # `datasets` raises an error of its own
            raise _gated(repository, here) from None
        cause = f"the hub's {repository} holds no data that can be read here: {one_line(str(error))}"
        action = "check `subset` and `split`, name another set, or download its files and name them by their path"
        raise LilliputError(cause, action, Exit.UNAVAILABLE) from None
    except (OSError, errors.HTTPError, RuntimeError) as error:  # type: ignore[attr-defined]
        raise unreachable(repository, here, error) from None


def _gated(repository: str, here: str) -> LilliputError:
    cause = f"{here}, and the hub gives {repository} only to people who accepted its terms"
    action = "accept them on the set's page and set HF_TOKEN to a token of yours, or name another set"
    return LilliputError(cause, action, Exit.UNAVAILABLE)


def unreachable(repository: str, here: str, error: BaseException) -> LilliputError:
    """No network, or a hub that does not answer as it should."""
    cause = f"{here} and the hub's {repository} cannot be reached: {one_line(str(error) or type(error).__name__)}"
    action = "connect to the network and run it again: what came already stays; or read your own copy by its path"
    return LilliputError(cause, action, Exit.UNAVAILABLE)


def one_line(words: str) -> str:
    """The first words of a library's message, without its advice."""
    return " ".join(words.split()).lower()[:160]
