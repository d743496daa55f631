"""What outlives a run: `LILLIPUT_HOME` (default `~/.lilliput`) and its folders, nothing of which is made by asking."""

import os
from pathlib import Path


def home() -> Path:
    """The root of everything kept between runs; deleting it costs downloads and caches, never a run."""
    return Path(os.environ.get("LILLIPUT_HOME") or "~/.lilliput").expanduser()


def corpora_file() -> Path:
    """Names that `corpus add` gave to paths."""
    return home() / "corpora.json"


def downloads() -> Path:
    return home() / "downloads"


def shards() -> Path:
    """Prepared tokens, in folders named by the hash of what made them."""
    return home() / "shards"


def clean() -> Path:
    """Cleaned documents, in folders named by the hash of what made them."""
    return home() / "clean"


def tokenizers() -> Path:
    """Trained tokenizers by name."""
    return home() / "tokenizers"


def calibration() -> Path:
    """What was measured on this machine, in files named by its hardware and versions."""
    return home() / "calibration"
