"""The packaged recipes hold what the guides' tables say; the numbers here are those of the tables."""

import socket
from dataclasses import asdict, replace

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.models import PRESETS
from lilliput.stages.plan import plan_lines
from lilliput.stages.recipe import Recipe, find_recipe, names, read_recipe
from lilliput.tokens.special import CONVERSATION


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a dry run opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("name", names())
def test_every_recipe_is_planned_without_a_network_and_fits_a_page(name, no_network):
    recipe = read_recipe(name)
    plan = "\n".join(plan_lines(recipe))
    assert recipe.model.family in plan
    assert f"{recipe.training.batch_size} windows of {recipe.training.context_length} tokens" in plan
    assert "warning" not in plan
    assert len(find_recipe(name).read_text(encoding="utf-8").splitlines()) <= 40


def test_a_plan_warns_of_what_the_model_itself_warns_of():
    plan = "\n".join(plan_lines(read_recipe("tardbot/mac_mini", ["model.num_active_experts=1"])))
    assert "warning     " in plan
    assert "num_active_experts" in plan


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "experts     expert 0 of 6 and the trunk, as a dense model"),
        (["experts.active=2"], "experts     expert 2 of 6, as a dense model; the trunk is frozen"),
        (
            ["experts.active=2", "experts.trunk_lr=0.1"],
            "expert 2 of 6 and the trunk at 0.1 of the rate, as a dense model",
        ),
        (["experts.mode=assembled"], "experts     all 6, assembled; for the first 25% only trunk and routers learn"),
    ],
)
def test_a_plan_says_which_expert_a_phase_trains_and_where_they_lie(words, told):
    plan = list(plan_lines(read_recipe("tardbot/expert_75m", words)))
    assert any(line.startswith("experts") and told in line for line in plan)
    assert "            in the folder experts/tardbot-75m" in plan


@pytest.mark.parametrize("word", ["tiny", "my-book.txt", "texts/one.jsonl.gz"])
def test_text_in_the_place_of_a_recipe_is_told_where_it_belongs(word):
    with pytest.raises(LilliputError) as refused:
        find_recipe(word)
    assert refused.value.code == Exit.USAGE
    assert f"data.sources={word}" in refused.value.action


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["data.stride=257"], "data.stride"),
        (["training.length={epochs: 1, until_loss: 0.3}", "rhythm.log_every=0"], "until_loss"),
        (["rhythm.early_stop={patience: 2}", "rhythm.validate_every=0"], "rhythm.early_stop"),
        (["rhythm.early_stop={patience: 2}", "data.split.validation=0"], "rhythm.early_stop"),
        (["validation.sources=[{name: tiny, weight: 2.0}]"], "validation"),
        (["validation.sources=[{name: tiny, max_tokens: 9}]"], "validation"),
        (["seed=9223372036854775808"], "seed"),
    ],
)
def test_what_nothing_would_read_and_what_would_leave_text_out_is_refused(words, key):
    with pytest.raises(LilliputError) as refused:
        read_recipe("lab/nano", words)
    assert refused.value.code == Exit.RECIPE
    assert key in refused.value.cause


def labels(recipe: Recipe) -> list[str]:
    return [source.label for source in recipe.data.sources]


@pytest.mark.parametrize(("name", "context"), [("lab/nano", 256), ("lab/small", 512), ("lab/medium", 1024)])
def test_the_labs_recipes_have_the_values_of_its_table(name, context):
    recipe = read_recipe(name)
    assert labels(recipe) == ["verdict"]
    assert recipe.tokenizer.kind == "gpt2"
    assert recipe.training.length.epochs == 3
    assert (recipe.training.context_length, recipe.training.batch_size) == (context, 4)
    assert (recipe.optim.kind, recipe.optim.lr, recipe.optim.weight_decay, recipe.optim.clip) == ("adamw", 3e-4, 0.1, 1)
    assert (recipe.schedule.kind, recipe.schedule.floor) == ("cosine", 0.1)
    assert (recipe.schedule.warmup.steps, recipe.schedule.warmup.share) == (100, 0.15)
    assert (recipe.rhythm.validate_every, recipe.rhythm.save_every) == (50, 500)
    assert recipe.data.split.validation == 0.1
    assert recipe.rhythm.sample_every > 0
    assert (recipe.seed, recipe.model.dropout) == (42, 0.1)


def test_the_story_learnt_by_heart_has_what_learning_by_heart_needs():
    recipe = read_recipe("lab/verdict")
    assert labels(recipe) == ["verdict"]
    assert (recipe.model.dim, recipe.model.num_layers, recipe.model.dropout) == (160, 6, 0)
    assert (recipe.data.stride, recipe.training.length.epochs) == (8, 3)
    assert (recipe.optim.kind, recipe.optim.lr) == ("muon", 0.02)
    assert recipe.optim.adamw.lr == 3e-3
    assert recipe.schedule.warmup.share <= 0.15


def test_tinystories_are_read_for_five_million_bytes_once():
    recipe = read_recipe("lab/tinystories")
    assert labels(recipe) == ["tinystories"]
    assert recipe.data.sources[0].max_bytes == 5_000_000
    assert recipe.training.length.epochs == 1
    assert recipe.model.dim == 160


def test_octo_has_the_values_of_its_two_files():
    recipe = read_recipe("octo/base")
    assert labels(recipe) == ["tinystories"]
    assert recipe.data.sources[0].parts == ("train", "validation")
    assert recipe.tokenizer.kind == "gpt2"
    training, rhythm = recipe.training, recipe.rhythm
    assert (training.context_length, training.batch_size, training.micro_batch_size) == (512, 16 * 4, 16)
    assert (training.length.epochs, training.precision, training.activation_checkpointing) == (1, "auto", False)
    assert (recipe.optim.kind, recipe.optim.lr, recipe.optim.weight_decay, recipe.optim.clip) == (
        "adamw",
        3e-4,
        0.01,
        1,
    )
    assert (recipe.schedule.kind, recipe.schedule.floor, recipe.schedule.warmup.steps) == ("linear", 0, 100)
    assert (rhythm.log_every, rhythm.validate_every, rhythm.validate_batches, rhythm.save_every) == (50, 500, 64, 5000)
    assert recipe.seed == 42
    assert asdict(recipe.model) == {
        "family": "llama",
        "dim": 768,
        "ffn_dim": 3072,
        "num_layers": 12,
        "num_heads": 12,
        "num_kv_heads": 3,
        "max_positions": 4096,
        "norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "attention_bias": False,
        "window": None,
        "tied": PRESETS["octo/base"].config.tied,
    }


def check_updates(recipe: Recipe, *, context: int, batch: int, micro: int) -> None:
    training = recipe.training
    assert (training.context_length, training.batch_size, training.micro_batch_size) == (context, batch, micro)


def limits(recipe: Recipe) -> list[int | None]:
    return [source.max_samples for source in recipe.data.sources]


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("tardbot/")])
def test_tardbots_recipes_share_the_values_of_its_guide(name):
    recipe = read_recipe(name)
    assert recipe.model == PRESETS[name].config
    folders = ["fineweb", "wikipedia", "stackexchange", "github"]
    assert labels(recipe) == [f"data/raw/{folder}" for folder in folders]
    assert (recipe.tokenizer.kind, recipe.tokenizer.size) == ("bpe", 32_000)
    assert recipe.tokenizer.special_tokens == CONVERSATION, "conversations are taught after the text"
    optim, schedule, rhythm = recipe.optim, recipe.schedule, recipe.rhythm
    assert (optim.kind, optim.lr, optim.betas, optim.weight_decay, optim.clip) == ("adamw", 6e-4, (0.9, 0.95), 0.1, 1)
    assert (schedule.kind, schedule.floor) == ("cosine", 0)
    assert (schedule.warmup.steps, schedule.warmup.share) == (2000, 0.03)
    assert (recipe.training.length.epochs, recipe.training.precision) == (1, "auto")
    assert recipe.training.activation_checkpointing
    assert (recipe.data.workers, recipe.seed) == (4, 42)
    assert (rhythm.log_every, rhythm.save_each_epoch) == (10, True)


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("tardbot/") and "65m" not in name])
def test_tardbots_updates_are_32_windows_of_4096_tokens_taken_one_by_one(name):
    recipe = read_recipe(name)
    check_updates(recipe, context=4096, batch=1 * 32, micro=1)
    assert limits(recipe) == [20_000] * 4
    assert (recipe.rhythm.validate_every, recipe.rhythm.save_every, recipe.rhythm.keep) == (500, 1000, 3)


def test_tardbots_small_dense_baseline_has_the_values_of_its_command():
    recipe = read_recipe("tardbot/dense_65m")
    check_updates(recipe, context=2048, batch=2 * 10, micro=2)
    assert [source.max_files for source in recipe.data.sources] == [350, 350, 350, 200]
    assert (recipe.rhythm.validate_every, recipe.data.split.validation) == (0, 0)
    assert (recipe.rhythm.save_every, recipe.rhythm.keep) == (300, 5)


def test_tardbots_mixtures_have_a_recipe_each_and_expert_losses_as_its_guide_weighs_them():
    for name in ("mac_nano", "mac_mini", "mac_base", "mac_plus", "expert_75m", "expert_100m"):
        model = read_recipe(f"tardbot/{name}").model
        assert (model.num_active_experts, model.balance_weight) == (2, 0.01)
        assert model.dense_layers in (None, model.num_layers // 4)


MIX = [("bookcorpus", 0.6, None), ("wikitext-103", 0.3, 50_000), ("wikitext-2", 0.1, None)]
FEW = [("bookcorpus", 0.6, 10_000), ("wikitext-2", 0.4, 10_000)]
PROMPTS = (
    "Once upon a time in a distant land,",
    "The old man walked slowly down the street,",
    "She opened the mysterious letter and discovered",
    "In the quiet village where nothing ever happened,",
)


@pytest.mark.parametrize(
    ("name", "shape", "context", "batch", "workers", "mix"),
    [
        ("light", "light", 512, 64, 2, MIX),
        ("standard", "standard", 512, 64, 2, MIX),
        ("micro", "micro", 256, 32, 2, MIX),
        ("safe", "micro", 256, 32, 1, MIX),
        ("smoke", "micro", 256, 32, 2, FEW),
    ],
)
def test_the_mixtures_on_books_have_the_values_of_their_guides_file(name, shape, context, batch, workers, mix):
    recipe = read_recipe(f"bookcorpus/{name}")
    assert [(source.label, source.weight, source.max_samples) for source in recipe.data.sources] == mix
    assert (recipe.data.workers, recipe.data.prefetch) == (workers, 1)
    assert [source.label for source in recipe.validation.sources] == ["wikitext-2", "bookcorpus"]
    assert recipe.tokenizer.kind == "gpt2"
    changes = {"max_positions": recipe.model.max_positions, "balance_weight": 0.02, "z_weight": 0.001}
    assert recipe.model == replace(PRESETS[f"bookcorpus/{shape}"].config, **changes)
    assert recipe.model.max_positions >= context
    check_updates(recipe, context=context, batch=batch, micro=1)
    assert recipe.training.activation_checkpointing
    optim, schedule = recipe.optim, recipe.schedule
    assert (optim.kind, optim.lr, optim.betas, optim.eps) == ("adamw", 2e-4, (0.9, 0.95), 1e-8)
    assert (optim.weight_decay, optim.clip) == (0.01, 1)
    assert (schedule.kind, schedule.warmup.steps, schedule.warmup.share) == ("cosine", 2000, 0.05)
    rhythm = recipe.rhythm
    assert (rhythm.validate_at_start, rhythm.save_every, rhythm.keep) == (True, 250, 5)
    assert (rhythm.num_samples, rhythm.sample_tokens, recipe.samples.prompts) == (5, 256, PROMPTS)
    if name != "smoke":
        assert recipe.training.length.epochs == 2
        assert (rhythm.log_every, rhythm.validate_every, rhythm.sample_every) == (25, 250, 1000)
        assert (rhythm.early_stop.patience, rhythm.early_stop.min_delta) == (3, 0.005)


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("simplified/")])
def test_the_simplified_models_recipes_share_the_values_of_their_guide(name):
    recipe = read_recipe(name)
    assert labels(recipe) == ["tinystories"]
    assert recipe.tokenizer.kind == "bytes"
    split, optim, schedule = recipe.data.split, recipe.optim, recipe.schedule
    assert (split.kind, split.validation, split.test) == ("hash", 0.1, 0.1)
    assert (optim.kind, optim.betas, optim.weight_decay, optim.clip) == ("adamw", (0.9, 0.95), 0.01, 1)
    assert (schedule.kind, schedule.floor) == ("cosine", 0)
    assert (recipe.training.precision, recipe.seed) == ("auto", 42)
    samples = recipe.samples
    assert (samples.temperature, samples.top_k, samples.top_p, recipe.rhythm.sample_tokens) == (1, 50, 0.9, 100)


@pytest.mark.parametrize(
    ("name", "context", "micro", "stories"),
    [("flat", 512, 16, None), ("flat_low_memory", 256, 8, None), ("flat_debug", 256, 16, 10_000)],
)
def test_the_flat_model_is_trained_as_its_guide_says_also_with_less_memory_and_on_a_subset(
    name, context, micro, stories
):
    recipe = read_recipe(f"simplified/{name}")
    assert recipe.model == replace(PRESETS["simplified/flat"].config, max_positions=context)
    check_updates(recipe, context=context, batch=16 * 4, micro=micro)
    assert limits(recipe) == [stories]
    assert recipe.optim.lr == 3e-4
    assert recipe.schedule.warmup.steps == 500
    if stories is None:
        assert recipe.training.length.steps == 10_000
        assert (recipe.rhythm.log_every, recipe.rhythm.validate_every, recipe.rhythm.save_every) == (10, 500, 1000)


HNETS = {
    "hnet1": {"micro": 32, "lr": 3e-4, "steps": 15_000, "warmup": 750, "save": 1500, "ratio": 0.03, "scales": (1.5, 1)},
    "hnet2": {"micro": 16, "lr": 2e-4, "steps": 20_000, "warmup": 1000, "save": 2000, "ratio": 0.05},
    "hnet3": {"micro": 16, "lr": 2e-4, "steps": 20_000, "warmup": 1000, "save": 2000, "ratio": 0.05},
}


@pytest.mark.parametrize("name", HNETS)
def test_the_hierarchical_models_are_trained_as_their_guide_says(name):
    recipe, stated = read_recipe(f"simplified/{name}"), HNETS[name]
    check_updates(recipe, context=512, batch=64, micro=stated["micro"])
    assert recipe.optim.lr == stated["lr"]
    assert (recipe.training.length.steps, recipe.schedule.warmup.steps) == (stated["steps"], stated["warmup"])
    rhythm, model = recipe.rhythm, recipe.model
    assert (rhythm.log_every, rhythm.validate_every, rhythm.save_every) == (50, 500, stated["save"])
    assert (model.chunk_size, model.ratio_weight) == (2.5, stated["ratio"])
    assert model.lr_scales == stated.get("scales", (2, 1.5, 1))
    if name != "hnet3":
        assert model == replace(PRESETS[f"simplified/{name}"].config, max_positions=512)


def test_the_guides_shape_of_ones_own_can_be_written_key_by_key():
    model = read_recipe("simplified/hnet3").model
    assert model.dims == (384, 512, 768)
    assert model.num_layers == ((3, 0, 3), (3, 0, 3), (6,))
    assert (model.num_heads, model.expand_ratio, model.hidden_ratio) == (1, 1, 4)
    assert (model.max_positions, model.norm_eps) == (2048, 1e-6)


def test_the_guides_values_can_be_set_by_keys():
    words = [
        *["data.workers=2", "data.prefetch=1", "training.precision=fp16", "training.activation_checkpointing=true"],
        *[
            "validation.sources=[wikitext-2, {path: books.txt}]",
            "training.length={steps: 1000}",
            "tokenizer={kind: gpt2}",
        ],
        *["optim.betas=[0.9, 0.95]", "optim.eps=1e-8", "schedule={kind: cosine, warmup: {steps: 2000, share: 0.05}}"],
        *["rhythm.log_every=25", "rhythm.save_every=250", "rhythm.keep=5", "rhythm.validate_every=250"],
        *["rhythm.validate_at_start=true", "rhythm.early_stop={patience: 3, min_delta: 0.005}", "rhythm.num_samples=5"],
        *[
            "rhythm.sample_every=1000",
            "rhythm.sample_tokens=256",
            'samples.prompts=["Once upon a time,", "She opened"]',
        ],
    ]
    recipe = read_recipe("lab/nano", words)
    assert [source.label for source in recipe.validation.sources] == ["wikitext-2", "books.txt"]
    assert (recipe.data.workers, recipe.data.prefetch, recipe.training.precision) == (2, 1, "fp16")
    assert (recipe.optim.betas, recipe.optim.eps) == ((0.9, 0.95), 1e-8)
    assert (recipe.rhythm.early_stop.patience, recipe.rhythm.early_stop.min_delta) == (3, 0.005)
    assert (recipe.rhythm.sample_tokens, recipe.rhythm.num_samples) == (256, 5)
    assert recipe.samples.prompts == ("Once upon a time,", "She opened")


def test_a_stated_vocabulary_is_refused_with_both_numbers():
    with pytest.raises(LilliputError, match="16000 is written, but the gpt2 tokenizer has 50,257 ids") as refused:
        read_recipe("octo/base", ["model.vocab_size=16000"])
    assert "size: 16000" in refused.value.action
    assert refused.value.code == Exit.RECIPE
