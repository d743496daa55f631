"""Device, threads and determinism of this process, and the facts under which a run repeats bit for bit."""

import os
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import psutil
import torch

from lilliput import __version__
from lilliput.config.errors import Exit, LilliputError
from lilliput.nn import kernels
from lilliput.nn.kernels import Experts
from lilliput.training.precision import Precision

Facts = dict[str, str | int | bool]


def choose_device(wanted: Literal["auto", "cpu", "cuda", "mps"]) -> torch.device:
    """The device of that name; `auto` prefers CUDA, then MPS. Raises `LilliputError` (unavailable) if it is absent."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = next(name for name, here in present.items() if here) if wanted == "auto" else wanted
    if not present[name]:
        raise LilliputError(
            f"training.device: this machine, or this build of torch, has no {name} device",
            "set training.device=auto, or install the torch build for your device as the README's table says",
            Exit.UNAVAILABLE,
        )
    return torch.device(name, 0) if name == "cuda" else torch.device(name)


def choose_threads(wanted: int | Literal["auto"]) -> int:
    """`auto` is one thread per physical core that this process may use."""
    if wanted != "auto":
        return wanted
    physical = psutil.cpu_count(logical=False) or 1
    return max(1, min(physical, _allowed_cores(), _quota()))


def use_threads(threads: int) -> None:
    """Threads of one operation, for this process."""
    torch.set_num_threads(threads)


def use_experts(form: Experts | None) -> None:
    """How tokens meet their experts, for this process; None = as kernels choose."""
    kernels.use(replace(kernels.kernels(), experts=form))


def use_determinism(deterministic: bool, device: torch.device) -> None:
    """Refuse operations that do not repeat: always on the CPU, where none is needed, elsewhere when asked for."""
    if device.type == "cuda" and deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats with a fixed workspace alone
    torch.use_deterministic_algorithms(deterministic or device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a cost for nothing
    torch.backends.cudnn.benchmark = False


def contract(
    *,
    device: torch.device,
    precision: Precision,
    threads: int,
    micro_batch_size: int,
    experts: Experts | None,
    deterministic: bool,
    compiled: bool,
) -> Facts:
    """The determinism contract: runs that agree in all of it, and in recipe and data, are identical."""
    return {
        "lilliput": __version__,
        "torch": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "precision": precision.format,
        "kernels": str(replace(kernels.kernels(), experts=experts)),
        "threads": threads,
        "micro_batch_size": micro_batch_size,
        "deterministic": deterministic,
        "compile": compiled,
        "reduction": "one process, micro-batches in order",
    }


def contract_differences(then: dict[str, Any], now: Facts) -> list[str]:
    """One line for each fact that differs."""
    names = [*now, *(name for name in then if name not in now)]
    return [f"{name}: {then.get(name)} -> {now.get(name)}" for name in names if then.get(name) != now.get(name)]


def _allowed_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota() -> int:
    """Whole CPUs that a container's quota grants (cgroup v2)."""
    try:
        granted, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(granted) // int(period))
    except (OSError, ValueError):
        return os.cpu_count() or 1
