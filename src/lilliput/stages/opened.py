"""A trained model opened for use: weights, tokenizer and recipe from what its run wrote down."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from lilliput.config.errors import Exit, LilliputError
from lilliput.export import ternary
from lilliput.models.contract import LanguageModel
from lilliput.models.weights import build_model
from lilliput.runs.run import Run, resolve
from lilliput.stages.recipe import Recipe, recipe_from
from lilliput.tokens import load as load_tokenizer
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.training import checkpoint
from lilliput.training.parallel import choose_device


@dataclass(frozen=True)
class Opened:
    model: LanguageModel
    tokenizer: Tokenizer
    recipe: Recipe
    run: Run
    step: int

    @property
    def name(self) -> str:
        """As a person names it: `lab-verdict@500`."""
        return f"{self.run.name}@{self.step}"


def open_model(word: str, device: str = "auto") -> Opened:
    """The model that `run`, `run@best`, `run@500`, a checkpoint's or an export's path names, to evaluate on `device`.

    Everything comes from the run's folder: its settings, its copy of the tokenizer, and weights whose hashes agree.
    """
    if ternary.is_export(Path(word)):
        return _open_export(Path(word), device)
    run, path = resolve(word)
    if run is None:
        cause = f"{path} lies in no run, so its settings and its tokenizer are unknown"
        raise LilliputError(cause, "name a checkpoint inside its run's folder", Exit.MISSING)
    recipe, tokenizer = recipe_from(run.read_config(), origin=str(run.config)), load_tokenizer(run.tokenizer)
    target = choose_device(_device(device))
    model = build_model(recipe.architecture, tokenizer.size, recipe.seed)
    state = checkpoint.load(path, model, tokenizer=tokenizer.fingerprint)
    return Opened(model.to(target).eval(), tokenizer, recipe, run, int(state["step"]))


def _open_export(path: Path, device: str) -> Opened:
    """An export's folder is laid out like a run's."""
    run = Run(path.absolute())
    recipe, tokenizer = recipe_from(run.read_config(), origin=str(run.config)), load_tokenizer(run.tokenizer)
    model = ternary.pack(build_model(recipe.model, tokenizer.size, recipe.seed))
    step = ternary.load(path, model)
    return Opened(model.to(choose_device(_device(device))), tokenizer, recipe, run, step)


def _device(word: str) -> Literal["auto", "cpu", "cuda", "mps"]:
    if word not in ("auto", "cpu", "cuda", "mps"):
        raise LilliputError(f"{word} is no device", "it may be auto, cpu, cuda or mps", Exit.USAGE)
    return cast(Literal["auto", "cpu", "cuda", "mps"], word)
