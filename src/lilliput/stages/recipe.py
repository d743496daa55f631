"""The root settings of a run, and how a word on the command line becomes them."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lilliput.config import load as config
from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Fatal, settings
from lilliput.corpus.cleaning import expand_cleaning
from lilliput.corpus.mixing import within
from lilliput.corpus.named import NAMED, TEXT_ENDINGS, expand_sources
from lilliput.corpus.split import expand_split
from lilliput.models import PRESETS, ModelConfig
from lilliput.models.contract import ModelSettings
from lilliput.optim import AdamWConfig, OptimConfig
from lilliput.optim.schedules import CosineConfig, ScheduleConfig
from lilliput.stages import experts
from lilliput.stages.experts import ExpertsConfig
from lilliput.stages.prepare import DataConfig, ValidationConfig
from lilliput.stages.rhythm import RhythmConfig, SamplesConfig
from lilliput.tokens import BytesConfig, TokenizerConfig, vocabulary
from lilliput.training.settings import TrainingConfig

EXPANDED = {"sources": expand_sources, "split": expand_split, "cleaning": expand_cleaning}
"""Keys of the data sections whose values may be written shorter than they are."""
PACKAGED = Path(str(files("lilliput.recipes")))


@settings
class Recipe:
    """Everything that decides a run."""

    stage: Fatal[Literal["pretrain"]] = "pretrain"
    """What the run does; fine-tuning and corpus building have their own."""
    seed: Fatal[int] = Field(default=42, ge=0, lt=2**63)
    """The one seed: weights, order of data, dropout and samples follow from it."""
    data: DataConfig
    tokenizer: TokenizerConfig = BytesConfig()
    """How text becomes ids."""
    model: ModelConfig
    """A family and its shape, or a preset by name, `{preset: lab/nano}`, and what differs from it."""
    optim: OptimConfig = AdamWConfig()
    """What an update does with the gradients."""
    schedule: ScheduleConfig = CosineConfig()
    """How the learning rate moves over the run."""
    training: TrainingConfig
    experts: ExpertsConfig = ExpertsConfig()
    rhythm: RhythmConfig = RhythmConfig()
    validation: ValidationConfig = ValidationConfig()
    samples: SamplesConfig = SamplesConfig()

    @property
    def architecture(self) -> ModelSettings:
        """The model that is built: the recipe's, or the part of it that a sequential run trains."""
        built: ModelSettings = experts.architecture(self.model, self.experts)
        return built


def names() -> list[str]:
    """Packaged recipes, as the command line spells them."""
    return sorted(path.relative_to(PACKAGED).with_suffix("").as_posix() for path in PACKAGED.rglob("*.yaml"))


def find_recipe(word: str) -> Path:
    """A word that ends in .yaml, .yml or .json, or begins with `.` or `/`, is a path; any other a packaged name."""
    if word.endswith((".yaml", ".yml", ".json")) or word.startswith((".", "/")):
        return Path(word)
    path = PACKAGED / f"{word}.yaml"
    if word in names():
        return path
    if word in NAMED or word.endswith(TEXT_ENDINGS):
        action = f"a recipe comes first: `lilliput train lab/shakespeare data.sources={word}`"
        raise LilliputError(f"`{word}` is text to train on, not a recipe", action, Exit.USAGE)
    near = ", ".join(f"`{name}`" for name in difflib.get_close_matches(word, names(), n=3, cutoff=0.4))
    guess = f"did you mean {near}?" if near else f"it may be {', '.join(names())};"
    action = f"{guess} a path to your own ends in .yaml; `lilliput runs list` shows runs"
    raise LilliputError(f"there is no recipe `{word}`", action, Exit.MISSING)


def read_recipe(word: str, overrides: Sequence[str] = ()) -> Recipe:
    """The checked settings of a packaged or own recipe with `key=value` overrides."""
    path = find_recipe(word)
    return recipe_from(config.merge(config.read(path), overrides, presets=presets()), origin=word)


def recipe_from(tree: Mapping[str, Any], origin: str) -> Recipe:
    """Settings of a plain tree: sources expanded, presets resolved, everything checked."""
    tree, stated = expanded(tree), None
    if isinstance(model := tree.get("model"), Mapping) and "vocab_size" in model:
        tree["model"] = {key: value for key, value in model.items() if key != "vocab_size"}
        stated = model["vocab_size"]
    recipe = config.load(Recipe, tree, origin=origin, presets=presets())
    if stated is not None:
        raise _vocabulary_is_the_tokenizers(stated, recipe, origin)
    return _resolved(recipe, origin)


def expanded(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A plain tree whose data sections are written out in full."""
    tree = dict(tree)
    for section in ("data", "validation"):
        if isinstance(given := tree.get(section), Mapping):
            longer = {word: expand(given[word]) for word, expand in EXPANDED.items() if given.get(word) is not None}
            tree[section] = {**given, **longer}
    return tree


def _vocabulary_is_the_tokenizers(stated: Any, recipe: Recipe, origin: str) -> LilliputError:
    own = vocabulary(recipe.tokenizer)
    has = f"has {own:,} ids" if own else "says its own when it is opened"
    return LilliputError(
        f"{origin}: model.vocab_size: {stated} is written, but the {recipe.tokenizer.kind} tokenizer {has}",
        f"leave the key out, or train a tokenizer of that size: tokenizer={{kind: bpe, size: {stated}}}",
        Exit.RECIPE,
    )


def presets() -> dict[str, dict[str, dict[str, Any]]]:
    return {"model": {name: config.dump(preset.config) for name, preset in PRESETS.items()}}


def _resolved(recipe: Recipe, origin: str) -> Recipe:
    """Values that follow from another section, and rules between sections."""
    if refused := next(_refusals(recipe), None):
        cause, action = refused
        raise LilliputError(f"{origin}: {cause}", action, Exit.RECIPE)
    recipe = replace(recipe, data=replace(recipe.data, sources=within(recipe.data.sources, recipe.data)))
    if recipe.model.max_positions is None:
        return replace(recipe, model=replace(recipe.model, max_positions=recipe.training.context_length))
    return recipe


def _refusals(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """(cause, action) of each rule between sections that a recipe breaks."""
    context, positions, stride = recipe.training.context_length, recipe.model.max_positions, recipe.data.stride
    if positions is not None and positions < context:
        yield (
            f"model.max_positions: {positions} is shorter than training.context_length, {context}",
            f"set model.max_positions={context} or training.context_length={positions}",
        )
    if stride is not None and stride > context:
        yield (
            f"data.stride: {stride} is longer than training.context_length, {context}, and would leave text out",
            f"set data.stride to at most {context}, or leave it out",
        )
    yield from experts.refusals(recipe.experts, recipe.model)
    rhythm, held_out = recipe.rhythm, recipe.validation.sources or recipe.data.split.validation > 0
    if recipe.training.length.until_loss is not None and rhythm.log_every <= 0:
        yield (
            "training.length.until_loss looks at the mean over rhythm.log_every updates, which is set to never",
            "set rhythm.log_every above 0",
        )
    if rhythm.early_stop and (rhythm.validate_every <= 0 or not held_out):
        yield (
            "rhythm.early_stop looks at validations, and there are none",
            "set rhythm.validate_every and data.split.validation above 0, or rhythm.early_stop=null",
        )
