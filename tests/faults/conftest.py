"""The kit for killed runs, handed to tests as fixtures: a test file cannot import its neighbours."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


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
def small_run() -> ModuleType:
    """A run without a model, to be killed."""
    return neighbour("small_run")


@pytest.fixture(scope="session")
def corpus() -> ModuleType:
    """A corpus of a few files, to be killed while it is built."""
    return neighbour("small_corpus")
