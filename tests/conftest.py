"""What all tests share: one torch thread per worker, a home of their own, the sample data beside the checkout."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is imported anywhere: workers share the cores, and kill tests fork.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

pytest_plugins = ["tests.promises"]

settings.register_profile("lilliput", deadline=None)
settings.load_profile("lilliput")

SAMPLE_DATA = Path(os.environ.get("LILLIPUT_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture
def sample_data() -> Path:
    """The folder of real data; DESIGN section 8 says how it is laid out."""
    if not SAMPLE_DATA.is_dir():
        pytest.skip("no sample data beside the checkout; LILLIPUT_DATA names another folder")
    return SAMPLE_DATA


def _folder_in_memory() -> Iterator[Path]:
    """An empty folder in memory where there is one: for tests that sync thousands of times."""
    shared = Path("/dev/shm")
    place = shared if os.access(shared, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place, prefix="lilliput-") as folder:
        yield Path(folder)


in_memory = pytest.fixture(_folder_in_memory)
module_in_memory = pytest.fixture(_folder_in_memory, scope="module")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the home, the runs or the data of the person who runs it."""
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path_factory.getbasetemp() / "home"))
    for name in ("LILLIPUT_RUNS", "LILLIPUT_DATA", "LILLIPUT_DEBUG", "LILLIPUT_FAULT"):
        monkeypatch.delenv(name, raising=False)
