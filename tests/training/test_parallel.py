import os

import pytest
import torch

from lilliput.config.errors import Exit, LilliputError
from lilliput.training.parallel import (
    choose_device,
    choose_threads,
    contract,
    contract_differences,
    use_determinism,
)
from lilliput.training.precision import Precision


def facts(**changed):
    given = {
        "device": torch.device("cpu"),
        "precision": Precision(),
        "threads": 1,
        "micro_batch_size": 4,
        "experts": None,
    }
    return contract(**{**given, "deterministic": False, "compiled": False, **changed})


def test_a_device_that_is_not_there_is_refused_with_a_way_out(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(LilliputError, match="no cuda device") as refusal:
        choose_device("cuda")
    assert refusal.value.code == Exit.UNAVAILABLE


def test_an_accelerator_is_preferred_when_it_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"


def test_automatic_threads_stay_within_what_the_process_may_use():
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 1 <= choose_threads("auto") <= allowed
    assert choose_threads(3) == 3


def test_determinism_holds_on_a_cpu_and_fills_no_memory_for_it():
    before = torch.are_deterministic_algorithms_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    try:
        use_determinism(False, torch.device("cpu"))
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = filled


def test_an_unchanged_contract_has_no_differences_and_each_change_is_named():
    assert contract_differences(facts(), facts()) == []
    assert contract_differences(facts(), facts(threads=2)) == ["threads: 1 -> 2"]
    assert contract_differences(facts(), facts(precision=Precision("bf16"))) == ["precision: fp32 -> bf16"]
    (changed,) = contract_differences(facts(), facts(experts="sliced"))
    assert changed.startswith("kernels: Kernels(") and "experts='sliced'" in changed
    assert contract_differences(facts(), {**facts(), "kernels": "others"})[0].startswith("kernels: Kernels(")
    assert contract_differences({**facts(), "old": 1}, facts()) == ["old: 1 -> None"]
