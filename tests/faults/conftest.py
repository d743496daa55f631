"""The kit for killed runs, handed to tests as fixtures: a test file cannot import its neighbours."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.faults import reference_task
from tests.faults.trainer import PRELOAD


def neighbour(name: str) -> ModuleType:
    """A module of this folder, under a name of its own."""
    specification = importlib.util.spec_from_file_location(f"faults_{name}", Path(__file__).with_name(f"{name}.py"))
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def kit() -> ModuleType:
    """`kit.ForkServer(file, function, preload)` and `kit.distinct_sites(calls)`; see kit.py."""
    return neighbour("kit")


@pytest.fixture(scope="session")
def training_server(kit: ModuleType) -> Iterator[Any]:
    """The fork server of everybody who trains: torch is imported once."""
    with kit.ForkServer(Path(reference_task.__file__), "train", PRELOAD) as server:
        yield server


@pytest.fixture(scope="session")
def small_run() -> ModuleType:
    """A run without a model, to be killed."""
    return neighbour("small_run")


@pytest.fixture(scope="session")
def corpus() -> ModuleType:
    """A corpus of a few files, to be killed while it is built."""
    return neighbour("small_corpus")
