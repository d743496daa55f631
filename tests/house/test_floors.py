import ast
import os
import subprocess
import sys

from tests.house.sources import PACKAGE, SOURCES

FLOORS = [
    {"config"},
    {"runs"},
    {"nn", "tokens", "corpus"},
    {"models", "optim", "chat"},
    {"inference"},
    {"training", "evals", "inspection", "export"},
    {"stages", "web"},
    {"cli"},
]
HEIGHT = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
WITHOUT_TORCH = {"", "config", "runs", "corpus", "tokens", "chat", "web"}
KNOWN_TO_WEB = {"web", "config", "runs", "corpus"}


def rooms_of(modules: set[str]) -> set[str]:
    return {module.split(".")[1] for module in modules if module.startswith("lilliput.")}


def test_every_folder_is_a_room_with_a_floor():
    assert {source.room for source in SOURCES} - {"", "recipes"} <= set(HEIGHT)


def test_imports_point_down_and_rooms_on_one_floor_are_strangers():
    wrong = [
        f"{source.name} imports {other}"
        for source in SOURCES
        if source.room in HEIGHT
        for other in rooms_of(source.imports()) - {source.room}
        if HEIGHT.get(other, len(FLOORS)) >= HEIGHT[source.room]
    ]
    assert wrong == []


def test_web_knows_config_runs_and_corpus_only():
    assert {room for source in SOURCES if source.room == "web" for room in rooms_of(source.imports())} <= KNOWN_TO_WEB


def test_imports_are_absolute():
    assert [s.name for s in SOURCES for node in s.nodes if isinstance(node, ast.ImportFrom) and node.level] == []


def test_torch_stays_out_of_the_rooms_that_do_without_it():
    def modules(room: str, imports: set[str]) -> set[str]:
        return {module.split(".")[0] for module in imports} & {"torch", "transformers", "torchao"}

    anywhere = [s.name for s in SOURCES if s.room in WITHOUT_TORCH and modules(s.room, s.imports())]
    on_import = [s.name for s in SOURCES if s.room == "cli" and modules(s.room, s.imports(at_import_time=True))]
    assert (anywhere, on_import) == ([], [])


def test_no_library_of_those_rooms_brings_torch_along():
    files = [s.name.removesuffix(".py") for s in SOURCES if s.room in WITHOUT_TORCH and s.name != "__main__.py"]
    modules = [f"lilliput/{name}".removesuffix("/__init__").replace("/", ".") for name in files]
    script = f"import importlib, sys; [importlib.import_module(m) for m in {modules}]; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    assert subprocess.check_output([sys.executable, "-c", script], env=environment, text=True).strip() == "False"
