"""`lilliput doctor`: what this machine has, and which optional parts are installed."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput import __version__
from lilliput.cli.terminal import say, say_json
from lilliput.runs import durable
from lilliput.runs.home import home
from lilliput.runs.run import runs_root

EXTRAS = {
    "data": ("datasets", "ftfy", "warcio"),
    "eval": ("lm_eval",),
    "inspect": ("sklearn", "matplotlib"),
    "track": ("tensorboard", "wandb"),
    "export": ("transformers", "gguf"),
    "kernels": ("torchao",),
    "dev": ("pytest", "hypothesis", "ruff", "mypy"),
}
"""Extra -> the modules by whose presence it is known."""


def doctor(json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False) -> None:
    """Look at this machine and at what is installed; changes nothing.

    Example: lilliput doctor --json
    """
    found = examine()
    if json:
        say_json(found)
        return
    width = max(len(name) for name in found)
    for name, value in found.items():
        say(f"{name:<{width}}  {_line(value)}")


def examine() -> dict[str, Any]:
    """Everything the command shows, in its order; sizes in bytes."""
    import psutil

    return {
        "lilliput": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "torch": _torch(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count(),
        "memory": {"total": psutil.virtual_memory().total, "free": psutil.virtual_memory().available},
        "disk": {"free": shutil.disk_usage(Path.cwd()).free},
        "durability": durable.weaker() or ["as promised in docs/reliability.md"],
        "accelerators": _accelerators(),
        "folders": {
            "LILLIPUT_HOME": str(home()),
            "LILLIPUT_RUNS": str(runs_root()),
            "LILLIPUT_DATA": os.environ.get("LILLIPUT_DATA") or None,
        },
        "extras": {extra: all(map(_is_installed, modules)) for extra, modules in EXTRAS.items()},
    }


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _torch() -> str | None:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def _accelerators() -> list[str]:
    if not _is_installed("torch"):
        return []
    import torch

    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return cuda + (["Apple GPU (mps)"] if torch.backends.mps.is_available() else [])


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_line(entry)}" for name, entry in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value >= 2**20:
        return f"{value / 1e9:.1f} GB"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "not set" if value is None else str(value)
