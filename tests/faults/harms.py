"""What may befall a checkpoint: each harm takes its directory; there is an older one beside it."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from lilliput.runs.checkpoints import MANIFEST, MODEL, STATE, listing
from lilliput.runs.sealed import seal


def before(path: Path) -> Path:
    """The oldest checkpoint of the folder."""
    return listing(path.parent)[0][1]


def forge(path: Path) -> None:
    document = json.loads((path / MANIFEST).read_text())
    (path / MODEL).write_bytes(b"forged")
    (path / MANIFEST).write_bytes(seal({key: value for key, value in document.items() if key != "sha256"}))


def swap_directory(path: Path) -> None:
    (path / STATE).unlink()
    (path / STATE).mkdir()


def swap_link(path: Path) -> None:
    (path / STATE).rename(path / "other")
    (path / STATE).symlink_to(path / "other")


def swap_pipe(path: Path) -> None:
    (path / STATE).unlink()
    os.mkfifo(path / STATE)


def escape(path: Path) -> None:
    document = json.loads((path / MANIFEST).read_text())
    document["files"] = {f"../{before(path).name}/{name}": record for name, record in document["files"].items()}
    (path / MANIFEST).write_bytes(seal(document))


HARMS: dict[str, Callable[[Path], object]] = {
    "a file missing": lambda path: (path / MODEL).unlink(),
    "a file empty": lambda path: (path / MODEL).write_bytes(b""),
    "no manifest": lambda path: (path / MANIFEST).unlink(),
    "a file of another step": lambda path: shutil.copy(before(path) / MODEL, path / MODEL),
    "all files of another step": lambda path: shutil.copytree(before(path), path, dirs_exist_ok=True),
    "a directory in the place of a file": swap_directory,
    "a link in the place of a file": swap_link,
    "a pipe in the place of a file": swap_pipe,
    "a file in the place of the checkpoint": lambda path: (shutil.rmtree(path), path.write_bytes(b"")),
    "a manifest sealed again over a changed file": forge,
    "a manifest naming files elsewhere": escape,
    "a manifest of nested lists": lambda path: (path / MANIFEST).write_bytes(b"[" * 100_000),
}


def flip(path: Path, draw: random.Random) -> None:
    """One bit of one file."""
    file = draw.choice(sorted(path.iterdir()))
    data = bytearray(file.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    file.write_bytes(data)


def cut(path: Path, draw: random.Random) -> None:
    """The end of one file; at least one byte that carries something."""
    file = draw.choice(sorted(path.iterdir()))
    os.truncate(file, draw.randrange(len(file.read_bytes().rstrip())))


def zero(path: Path, draw: random.Random) -> None:
    """One page of one file, of those that are not zero already."""
    file = draw.choice(sorted(path.iterdir()))
    data = bytearray(file.read_bytes())
    page = 4096 * draw.randrange(1 + len(data) // 4096)
    data[page : page + 4096] = bytes(len(data[page : page + 4096]))
    if data == file.read_bytes():
        zero(path, draw)
    file.write_bytes(data)
