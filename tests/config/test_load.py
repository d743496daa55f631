import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.config.nest import PRESETS, Nest, Round, Schedule, Square, Warmup

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.load import dump, load, merge, read

NANO = {"model": {"preset": "lab/nano"}}


def build(tree: dict[str, Any], *words: str) -> Nest:
    return load(Nest, merge(tree, words, PRESETS), origin="recipe.yaml", presets=PRESETS)


def problems(tree: dict[str, Any], *words: str) -> list[str]:
    with pytest.raises(LilliputError) as caught:
        build(tree, *words)
    assert caught.value.code == Exit.RECIPE
    return caught.value.cause.splitlines()


def test_a_misspelt_key_is_refused_with_the_nearest_of_its_own_section():
    found = problems({"model": {"famly": "square"}})
    assert found[0] == "recipe.yaml: model.famly: no such key; did you mean family?"
    assert problems(NANO, "model.radius=3") == ["recipe.yaml: model.radius: no such key with family square"]


def test_all_problems_are_named_at_once_without_the_tags_of_unions():
    tree = {
        "model": {"family": "square", "heads": 0},
        "many": [{"family": "round"}, {"family": "round", "radius": 200, "betas": [1]}],
        "schedule": {"warmup": {"stepps": 3}, "size": "aut"},
        "sed": 1,
    }
    assert sorted(problems(tree)) == sorted(
        [
            "recipe.yaml: model.dim: missing; it may be a whole number > 0",
            "recipe.yaml: model.heads: 0 is not possible; it may be a whole number > 0",
            "recipe.yaml: many[1].radius: 200 is not possible; it may be a number > 0 and < 100",
            "recipe.yaml: many[1].betas: [1] is not possible; it may be a list of 2 numbers",
            "recipe.yaml: schedule.warmup.stepps: no such key; did you mean steps?",
            'recipe.yaml: schedule.size: "aut" is not possible; it may be a whole number > 0 or auto; '
            "did you mean auto?",
            "recipe.yaml: sed: no such key; did you mean seed?",
        ]
    )


@pytest.mark.parametrize("value", ["true", '"12"', "12.0", "null", "[1]"])
def test_nothing_but_a_whole_number_is_a_whole_number(value: str):
    assert problems(NANO, f"seed={value}") == [
        f"recipe.yaml: seed: {json.dumps(json.loads(value))} is not possible; it may be a whole number"
    ]


def test_a_rule_between_fields_is_reported_under_its_section():
    assert problems(NANO, "model.heads=5") == ["recipe.yaml: model: heads (5) do not divide dim (12)"]


def test_an_unknown_tag_is_refused_with_the_nearest():
    found = problems({"model": {"family": "squar"}})
    assert found == [
        'recipe.yaml: model.family: "squar" is not possible; it may be square, round; did you mean square?'
    ]


def test_a_preset_is_replaced_by_its_keys_and_what_is_written_beside_it_wins():
    assert build({"model": {"preset": "lab/nano", "heads": 4}}).model == Square(dim=12, heads=4)


def test_an_unknown_preset_is_refused_with_the_nearest():
    found = problems({"model": {"preset": "lab/nanno"}}, "seed=on1")
    assert found[0] == "recipe.yaml: model.preset: no preset lab/nanno; did you mean lab/nano?"
    assert len(found) == 2


def test_a_changed_tag_drops_what_a_preset_or_a_default_said():
    nest = build(NANO, "model.family=round", "second.family=square", "second.dim=2")
    assert (nest.model, nest.second) == (Round(), Square(dim=2))


def test_a_changed_tag_refuses_what_the_user_wrote():
    tree = {"model": {"preset": "lab/nano", "heads": 4}}
    assert problems(tree, "model.family=round") == ["recipe.yaml: model.heads: no such key with family round"]
    assert problems(tree, "model.preset=octo/base") == ["recipe.yaml: model.heads: no such key with family round"]


def test_a_preset_and_another_family_in_one_hand_contradict():
    found = problems({"model": {"preset": "lab/nano", "family": "round"}})
    assert found == ["recipe.yaml: model.family: round, but preset lab/nano is square; write one of the two"]


def test_a_default_keeps_the_keys_that_a_recipe_leaves_out():
    nest = build(NANO, "second.betas=[0.5, 0.6]", "schedule.warmup.steps=7")
    assert nest.second == Round(radius=7.0, betas=(0.5, 0.6))
    assert nest.schedule == Schedule(size=3, warmup=Warmup(steps=7))


def test_a_whole_mapping_replaces_what_stood_there():
    tree = {"model": {"preset": "lab/nano", "heads": 4}}
    assert build(tree, "model={family: round, radius: 2}").model == Round(radius=2)


def test_an_element_of_a_list_can_be_set():
    nest = build(NANO, "many=[{family: round}, {family: square, dim: 3}]", "many[1].dim=5", "many.0.radius=4")
    assert nest.many == [Round(radius=4), Square(dim=5)]


@pytest.mark.parametrize("word", ["seed", "=3", "a..b=3", ".a=3", "a b=3"])
def test_a_word_that_is_no_override_is_a_usage_error(word: str):
    with pytest.raises(LilliputError, match="not of the form key=value") as caught:
        merge({}, [word])
    assert caught.value.code == Exit.USAGE


@pytest.mark.parametrize(
    "value", ["on", "No", "12:30", "0755", "${seed}", "'${oc.env:HOME}'", "a: b", "[1", ".nan", '"\\ud800"']
)
def test_a_value_that_reads_differently_than_it_looks_is_refused(value: str, tmp_path: Path):
    with pytest.raises(LilliputError) as caught:
        merge({}, [f"seed={value}"])
    assert caught.value.code == Exit.RECIPE and caught.value.cause.startswith(f"seed={value}: ")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"title: words\nseed: {value}\n")
    with pytest.raises(LilliputError) as caught:
        read(recipe)
    assert caught.value.code == Exit.RECIPE
    assert caught.value.cause.startswith((f"{recipe}: line 2: ", f"{recipe}: line 3: "))


@pytest.mark.parametrize("value", ['"on"', "true", '"12:30"', "2020-01-01", "~/texts", "C:\\texts", "3e-4", "'#'"])
def test_a_plain_value_is_taken_as_it_looks(value: str):
    assert merge({}, [f"title={value}"])["title"] == {"3e-4": 3e-4, "true": True}.get(value, value.strip("\"'"))


def test_an_override_does_not_reach_through_a_plain_value():
    with pytest.raises(LilliputError, match="seed is 3, which has no keys"):
        merge({"seed": 3}, ["seed.high=4"])


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (b"seed: 1\nseed: 2\n", "seed"),
        (b"[1, 2]", "a mapping"),
        (b"on: 1\n", "no text and so no key"),
        (b"a: [\n", "line 2"),
        (b"title: \xff\n", "byte 7 is no UTF-8"),
        (b"a: 1\n---\nb: 2\n", "another document"),
        (b"[" * 20_000, "nested too deeply"),
    ],
)
def test_a_malformed_file_is_refused(text: bytes, cause: str, tmp_path: Path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes(text)
    with pytest.raises(LilliputError, match=cause) as caught:
        read(recipe)
    assert caught.value.code == Exit.RECIPE and str(recipe) in caught.value.cause


def test_json_is_a_recipe_too_and_an_empty_file_an_empty_one(tmp_path: Path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"model": {"preset": "lab/nano"},\n "seed": 7}')
    assert read(recipe) == {"model": {"preset": "lab/nano"}, "seed": 7}
    recipe.write_text("# nothing yet\n")
    assert read(recipe) == {}


def test_a_missing_file_is_missing_and_a_folder_is_no_file(tmp_path: Path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(LilliputError) as caught:
            read(path)
        assert caught.value.code == Exit.MISSING


numbers = st.floats(0.01, 99, exclude_min=True, exclude_max=True)
squares = st.integers(1, 50).flatmap(lambda heads: st.builds(Square, dim=st.just(heads * 3), heads=st.just(heads)))
rounds = st.builds(
    Round, radius=numbers, names=st.lists(st.text(max_size=4), max_size=3), betas=st.tuples(numbers, numbers)
)
shapes = squares | rounds
warmups = st.builds(Warmup, steps=st.none() | st.integers(0, 9), share=st.floats(0, 1))
schedules = st.builds(
    Schedule,
    warmup=st.just("auto") | warmups,
    size=st.just("auto") | st.integers(1, 10**12),
    folder=st.sampled_from([Path("here"), Path("/tmp/x y"), Path("..")]),
)
nests = st.builds(
    Nest,
    seed=st.integers(-(2**63), 2**63 - 1),
    loud=st.booleans(),
    title=st.text(),
    model=shapes,
    second=shapes,
    spare=st.none() | shapes,
    many=st.lists(shapes, max_size=3),
    schedule=schedules,
)


@given(nests)
def test_what_is_dumped_loads_to_an_equal_value(nest: Nest):
    assert load(Nest, json.loads(json.dumps(dump(nest)))) == nest


leaves = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text("ab :#'\"\\\n", max_size=6)
names = st.sampled_from(["a", "b", "c"])
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
words = st.lists(st.tuples(st.lists(names, min_size=1, max_size=3), values), max_size=6)


def put(tree: Any, path: list[str], value: Any) -> Any:
    """The oracle: set one key, or None where a plain value stands in the way."""
    if not path:
        return value
    if tree is not None and not isinstance(tree, dict):
        raise KeyError
    return {**(tree or {}), path[0]: put((tree or {}).get(path[0]), path[1:], value)}


@given(st.dictionaries(names, values, max_size=3), words)
def test_overrides_do_what_setting_one_key_after_the_other_does(tree: dict[str, Any], overrides: Any):
    expected: Any = tree
    texts = [f"{'.'.join(path)}={json.dumps(value)}" for path, value in overrides]
    try:
        for path, value in overrides:
            expected = put(expected, path, value)
    except KeyError:
        with pytest.raises(LilliputError):
            merge(tree, texts)
    else:
        assert merge(tree, texts) == expected


keys = st.sampled_from([*vars(Nest)["__dataclass_fields__"], "family", "preset", "dim", "radius", "warmup", "steps"])
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(keys, junk, max_size=4), st.sampled_from([{}, NANO, {"model": {"family": "round"}}]))
def test_whatever_a_tree_holds_it_loads_or_is_refused_by_key(tree: dict[str, Any], sound: dict[str, Any]):
    try:
        assert isinstance(load(Nest, {**sound, **tree}, presets=PRESETS), Nest)
    except LilliputError as error:
        assert error.code == Exit.RECIPE
        words = [line.partition(": ")[0] for line in error.cause.split("\n")]
        assert [word for word in words if " " in word or not word] == []
