"""What a recipe would do, worked out without data, network or a single update."""

from collections.abc import Iterator

from lilliput.models import PRESETS
from lilliput.models.weights import counts, outline
from lilliput.optim.schedules import warmup_steps
from lilliput.stages.recipe import Recipe
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
    yield f"data        {', '.join(source.label for source in recipe.data.sources)}"
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
        if (warm := warmup_steps(recipe.schedule, steps)) > 0.2 * steps:
            yield f"warning     warm-up takes {warm} of {steps} updates, more than a fifth of the run"


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
