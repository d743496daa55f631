import tomllib
from importlib import import_module
from importlib.metadata import EntryPoint

from docs.generate import PACKAGE, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def needs(group: str = "") -> set[str]:
    """Names of the packages that are installed, with an extra or without."""
    found = PROJECT["optional-dependencies"][group] if group else PROJECT["dependencies"]
    return {word.partition(";")[0].split("[")[0].split("<")[0].split(">")[0].split("=")[0].strip() for word in found}


def test_installing_the_package_brings_its_command():
    target = PROJECT["scripts"]["lilliput"]
    assert EntryPoint("lilliput", target, "console_scripts").load() is import_module("lilliput.cli").main
    assert PROJECT["requires-python"] == ">=3.11"


def test_recipes_are_inside_the_package_that_is_installed():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert tool["hatch"]["build"]["targets"]["wheel"]["packages"] == [str(PACKAGE.relative_to(ROOT))]
    assert (PACKAGE / "recipes" / "tour.yaml").is_file()


def test_what_the_guides_install_is_installed_or_an_extra():
    assert {"torch", "rich", "tokenizers", "tiktoken"} <= needs()
    assert "datasets" in needs("data")
    assert {"wandb", "tensorboard"} <= needs("track")
    assert {"matplotlib", "seaborn"} <= needs("inspect")
    assert "transformers" in needs("export")


def test_the_build_of_torch_is_left_to_the_machine():
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "torch==" in pinned
    assert "+cpu" not in pinned
