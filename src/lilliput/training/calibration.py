"""What `auto` means on this machine: measured once, kept by hardware and versions, copied into the run."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, TypeVar, cast

import numpy as np
import torch

from lilliput import __version__
from lilliput.models.contract import LanguageModel, ModelSettings
from lilliput.models.weights import build_model, outline
from lilliput.nn.kernels import Experts
from lilliput.optim import Optimizer
from lilliput.optim.optimizer import Weights
from lilliput.runs import durable, home
from lilliput.tokens.batch import Batch
from lilliput.tokens.order import hash64
from lilliput.training.loading import place
from lilliput.training.loop import cross_entropy, train
from lilliput.training.meter import peak_flops
from lilliput.training.parallel import choose_device, choose_threads, use_experts, use_threads
from lilliput.training.precision import Format, Precision, candidates, check
from lilliput.training.randomness import seeded
from lilliput.training.settings import TrainingConfig

Choice = TypeVar("Choice")
Value = TypeVar("Value")

WORTH = 0.97
"""A faster choice has to save 3 %: less is noise."""
FEW_TOKENS = 512
"""Tokens of a pass that compares precisions."""
PATIENCE_S = 0.5
"""Seconds of one pass beyond which no larger micro-batch is tried, and of passes that are enough for a figure."""
BUDGET_S = 4.0
"""Seconds after which no further micro-batch is tried."""


def resolved(training: TrainingConfig, model: ModelSettings, vocab_size: int) -> TrainingConfig:
    """The settings with threads, precision, experts and micro-batch fixed; sets what this process computes with."""
    device = choose_device(training.device)
    threads = choose_threads(training.threads)
    use_threads(threads)
    what = f"{hash64(repr(model), vocab_size, training.context_length):016x} {device.type} {threads}"

    def time_of(precision: Format, windows: int) -> float:
        shape = (vocab_size, training.context_length, windows)
        return _seconds_per_window(model, shape, device, check(precision, device))

    few = min(training.batch_size, max(1, FEW_TOKENS // training.context_length))

    def fastest() -> Format:
        return faster(candidates(device), lambda name: time_of(name, few))

    def faster_experts(precision: Format) -> Experts:
        def seconds(form: Experts) -> float:
            use_experts(form)
            return time_of(precision, few)

        return faster(["grouped", "sliced"], seconds)

    use_experts(None if training.expert_dispatch == "auto" else training.expert_dispatch)
    precision = training.precision if training.precision != "auto" else remember(f"precision {what}", fastest)
    expert_dispatch = training.expert_dispatch
    if expert_dispatch == "auto" and outline(model, vocab_size).has_experts:
        form = remember(f"experts {what} {precision}", lambda: faster_experts(precision))
        use_experts(form)
        expert_dispatch = form
    micro_batch_size = training.micro_batch_size
    if micro_batch_size == "auto":
        key = f"micro_batch {what} {precision} {expert_dispatch} {training.batch_size}"
        micro_batch_size = remember(key, lambda: largest_useful(training.batch_size, lambda n: time_of(precision, n)))
    return replace(
        training,
        threads=threads,
        precision=precision,
        expert_dispatch=expert_dispatch,
        micro_batch_size=micro_batch_size,
    )


def steps_per_minute(
    model: LanguageModel,
    optimizer: Optimizer,
    batch_of: Callable[[int], Batch],
    training: TrainingConfig,
    *,
    seed: int,
    seconds: float = 10.0,
) -> float:
    """Updates per minute of a resolved recipe, from some real ones that are then undone to the last bit.

    They are at most nine, and fewer where three take longer than `seconds`.
    """
    device, means = next(model.parameters()).device, training.means
    precision = check(means.precision, device)
    with undisturbed(model, optimizer):
        steps = train(
            model,
            optimizer,
            batch_of,
            lambda _: 0.0,
            done=0,
            total=9,
            micro_batch_size=means.micro_batch_size,
            clip=1.0,
            seed=seed,
            precision=precision,
            scale=precision.scaler(),
        )
        ends: list[float] = []
        for step in steps:
            step.loss.item()  # waits for the device
            ends.append(time.perf_counter())
            if len(ends) > 2 and ends[-1] - ends[0] > seconds:
                break
    return 60 / median(np.diff(ends).tolist())


@contextmanager
def undisturbed(model: LanguageModel, optimizer: Optimizer) -> Iterator[None]:
    """Whatever is done to model and optimizer inside is undone: weights, buffers, state, counters, mode."""
    held = {id(t): t for t in (*model.parameters(), *model.buffers(), *optimizer.weights.named.values())}.values()
    values = [tensor.detach().clone() for tensor in held]
    state = {key: value.clone() for key, value in optimizer.tensors().items()}
    updates, training = optimizer.updates, model.training
    rates = [group["lr"] for group in optimizer.param_groups]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(held, values, strict=True):
                tensor.copy_(value)
        optimizer.zero_grad()
        optimizer.load_tensors(state, updates)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        model.train(training)


def peak(device: torch.device, precision: Precision) -> float:
    """Floating-point operations per second of the device's best matrix product in the format of the activations.

    The best ever seen here: a busy moment measures too little, never too much.
    """
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision.format]
    key = f"peak {device.type} {precision.format} {torch.get_num_threads()}"
    now = peak_flops(device, dtype)
    if now > (best := remember(key, lambda: now)):
        _write({key: now})
    return max(now, best)


def faster(choices: Sequence[Choice], seconds: Callable[[Choice], float]) -> Choice:
    """The quickest choice; a later one has to be worth leaving an earlier one."""
    best = choices[0]
    if len(choices) > 1:
        least = seconds(best)
        for choice in choices[1:]:
            if (taken := seconds(choice)) < WORTH * least:
                best, least = choice, taken
    return best


def largest_useful(batch_size: int, seconds_per_window: Callable[[int], float]) -> int:
    """The largest micro-batch whose time per window is about the least: doubled while that is so and it fits.

    No pass is tried that would take long, which also bounds the memory tried on a CPU.
    """
    best, least, size = 1, seconds_per_window(1), 1
    begun = time.perf_counter()
    while size < batch_size and 2 * least * size < PATIENCE_S and time.perf_counter() - begun < BUDGET_S:
        size = min(2 * size, batch_size)
        try:
            taken = seconds_per_window(size)
        except (torch.OutOfMemoryError, MemoryError):
            break
        if WORTH * taken < least:  # a larger one is kept unless it costs time: noise must not end at 1
            best, least = size, min(least, taken)
        elif size > 2 * best:  # twice in a row slower
            break
    return best


def remember(key: str, measure: Callable[[], Value]) -> Value:
    """What this machine, with these versions, once measured under `key`; the first writer wins."""
    path = _path()
    if key in (known := _entries(path)):
        return cast(Value, known[key])
    value = measure()
    known = {key: value, **_entries(path)}  # another process may have measured meanwhile
    _write(known)
    return cast(Value, known[key])


def _write(entries: Mapping[str, Any]) -> None:
    """Set entries in this machine's file."""
    path = _path()
    durable.make_dir(path.parent)
    durable.replace(
        path, json.dumps({"machine": machine(), "entries": {**_entries(path), **entries}}, indent=1).encode()
    )


def _path() -> Path:
    return home.calibration() / f"{hash64(json.dumps(machine(), sort_keys=True)):016x}.json"


def machine() -> dict[str, str | int]:
    """Hardware and versions that a measurement holds for."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return {
        "lilliput": __version__,
        "torch": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": f"{torch.backends.cpu.get_cpu_capability()} {os.cpu_count()}",
        "device": device,
    }


def _entries(path: Path) -> dict[str, Any]:
    """What a file holds; a missing or damaged one holds nothing, and is measured anew."""
    try:
        entries = json.loads(path.read_bytes())["entries"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _seconds_per_window(
    settings: ModelSettings, shape: tuple[int, int, int], device: torch.device, precision: Precision
) -> float:
    """Best of at most three forward and backward passes over random tokens, after one to warm up."""
    vocab_size, context, windows = shape
    model = build_model(settings, vocab_size, seed=0).to(device).train()
    weights = Weights(model, precision.weights)
    ids = np.random.default_rng(0).integers(0, vocab_size, (windows, context + 1))
    full, alone = np.ones((windows, context), np.bool_), np.zeros((windows, context), np.int32)
    batch = place(Batch(ids[:, :-1].copy(), ids[:, 1:].copy(), full, alone, full.sum(1)), device)
    times = []
    with seeded(device, 0):
        for _ in range(4):
            model.zero_grad()
            begun = time.perf_counter()
            with precision.autocast(device):
                nats = cross_entropy(model, batch).nats
            torch.autograd.backward(nats)
            weights.collect()
            nats.item()  # waits for the device
            times.append(time.perf_counter() - begun)
            if len(times) > 1 and sum(times) > PATIENCE_S:
                break
    return min(times[1:]) / windows
