"""What a recipe would do, worked out without data, network or a single update."""

from collections.abc import Iterator

from lilliput.corpus.mixing import LIMITS, borders, weights
from lilliput.models import PRESETS
from lilliput.models.contract import LanguageModel
from lilliput.models.weights import counts, outline
from lilliput.optim import build_optimizer
from lilliput.optim.schedules import warmup_steps
from lilliput.stages import experts
from lilliput.stages.recipe import Recipe
from lilliput.stages.room import Course, foretold
from lilliput.stages.shares import names, percent
from lilliput.tokens import vocabulary
from lilliput.training.meter import PASSES

NOMINAL = 50_257
"""Vocabulary for printed counts where neither the tokenizer's settings nor a preset says one."""


def plan_lines(recipe: Recipe) -> Iterator[str]:
    """The plan as lines: model, data, length, and what to look out for."""
    training, stated = recipe.training, vocabulary(recipe.tokenizer)
    vocab = stated or next((p.nominal_vocab for p in PRESETS.values() if p.config == recipe.model), NOMINAL)
    model = outline(recipe.architecture, vocab)
    count, tokens = counts(model), training.batch_size * training.context_length
    note = "" if stated else " (nominal: the tokenizer's own is known when it is opened)"
    yield f"model       {recipe.model.family}, {count.total:,} parameters"
    yield f"            {count.active:,} active, {count.embedding:,} embedding, {count.non_embedding:,} other"
    yield from (f"warning     {remark}" for remark in model.remarks())
    yield from _experts(recipe)
    yield f"vocabulary  {vocab:,}{note}"
    yield from _data(recipe)
    yield f"update      {training.batch_size} windows of {training.context_length} tokens, {tokens:,} tokens"
    yield f"optimiser   {recipe.optim.kind}, lr {recipe.optim.lr:g}, {recipe.schedule.kind} schedule"
    length = training.length
    for word in ("steps", "epochs", "tokens", "minutes", "until_loss"):
        if (value := getattr(length, word)) is not None:
            yield f"length      {word} {value:,}"
    if length.steps or length.tokens:
        steps = length.steps or -(-(length.tokens or 0) // tokens)
        work = PASSES * model.flops_per_token(training.context_length) * tokens * steps
        yield f"work        {work:.2e} floating-point operations over {steps * tokens:,} tokens"
        yield from _room(recipe, model, steps)
        if (warm := warmup_steps(recipe.schedule, steps)) > 0.2 * steps:
            yield f"warning     warm-up takes {warm} of {steps} updates, more than a fifth of the run"


def _room(recipe: Recipe, model: LanguageModel, steps: int) -> Iterator[str]:
    experts.pace(model, recipe.experts)
    sets = len(recipe.validation.sources) or int(recipe.data.split.validation > 0)
    course = Course(steps, epochs=0, sets=sets, bytes_per_token=1 if recipe.tokenizer.kind == "bytes" else 4)
    yield f"room        {foretold(recipe, model, build_optimizer(model, recipe.optim), course)}"


def _data(recipe: Recipe) -> Iterator[str]:
    """The sources, in a mixture with their shares in each stage, and within which limits each is read."""
    data, called = recipe.data, names(recipe.data.sources)
    for share, row in zip(borders(data), weights(data.sources, data), strict=False):
        word = "            " if share else "data        "
        if len(row) == 1:
            yield f"{word}{called[0]}"
        else:
            after = f"from {percent(share)} of the run on: " if share else ""
            yield f"{word}{after}{', '.join(f'{name} {percent(part)}' for name, part in zip(called, row, strict=True))}"
    if len(called) > 1:
        yield "            of the tokens trained on; how often each source is read is told once"
        yield "            its text is, before the first update"
    for name, source in zip(called, data.sources, strict=True):
        found = [(limit.removeprefix("max_"), getattr(source, limit)) for limit in LIMITS]
        if limits := ", ".join(f"{most:,} {noun}" for noun, most in found if most is not None):
            yield f"limits      of {name} at most {limits}"


def _experts(recipe: Recipe) -> Iterator[str]:
    """Which phase of sequential experts this is, where it is one."""
    experts = recipe.experts
    if experts.mode == "together":
        return
    held, factor = getattr(recipe.model, "num_experts", 1), experts.trunk_factor
    if experts.mode == "assembled":
        yield f"experts     all {held}, assembled; for the first {experts.thaw:.0%} only trunk and routers learn"
    elif factor == 0:
        yield f"experts     expert {experts.active} of {held}, as a dense model; the trunk is frozen"
    else:
        pace = "" if factor == 1 else f" at {factor:g} of the rate"
        yield f"experts     expert {experts.active} of {held} and the trunk{pace}, as a dense model"
    yield f"            in the folder {experts.folder}"
