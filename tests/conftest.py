"""What all tests share: one torch thread per worker, a home of their own, the sample data beside the checkout."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.loopback_hub import LoopbackHub

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


@pytest.fixture
def loopback_hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    """An empty hub on loopback that `datasets` and `huggingface_hub` take for the real one, in this process too."""
    import datasets
    import huggingface_hub

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    home = tmp_path_factory.mktemp("hf")
    monkeypatch.setenv("HF_HOME", str(home))
    with LoopbackHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        # What the two libraries read from the environment when they were imported.
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(home / "hub"))
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
        monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", str(home / "modules"))
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(home / "datasets"))
        yield hub
        huggingface_hub.close_session()
