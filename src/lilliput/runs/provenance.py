"""What made a run: commit, versions and machine, read without starting a process or importing what they describe."""

import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

PACKAGES = ("lilliput", "torch", "numpy", "pydantic", "tokenizers", "tiktoken", "safetensors")


@cache
def provenance() -> dict[str, Any]:
    """Facts for a manifest: `commit` (None outside a checkout), `versions` by package, `machine`."""
    from importlib.metadata import PackageNotFoundError, version  # 15 ms that the lock need not wait for

    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    machine = {"system": platform.system(), "arch": platform.machine(), "cpu": _cpu_name(), "cpus": os.cpu_count()}
    return {"commit": commit(Path(__file__).parents[3]), "versions": versions, "machine": machine}


def commit(checkout: Path) -> str | None:
    """The commit a checkout stands on; None where there is no checkout."""
    with suppress(OSError):
        git = checkout / ".git"
        if git.is_file():  # a linked worktree
            git = (checkout / git.read_text().removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head or None
        shared = git / "commondir"
        common = (git / shared.read_text().strip()).resolve() if shared.exists() else git
        return _reference(common, head.removeprefix("ref: "))
    return None


def _reference(git: Path, name: str) -> str | None:
    with suppress(OSError):
        return (git / name).read_text().strip()
    with suppress(OSError):
        for line in (git / "packed-refs").read_text().splitlines():
            if line.endswith(f" {name}"):
                return line.split(" ")[0]
    return None


def _cpu_name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
