"""Duplicates from the recipe to the shards."""

from itertools import combinations, product

import pytest
from tests.corpus.test_near import drawn, jaccard

from lilliput.stages.prepare import texts
from lilliput.stages.recipe import recipe_from

PARTS = ("train", "validation", "test")


@pytest.fixture
def parts(tmp_path):
    """The texts of each part that a recipe with two sources gives, one large and one of few documents."""
    both = drawn(330, seed=7, share=0.5, changed=0.02)
    for name, own in (("large", both[:300]), ("few", both[300:] + both[:10])):
        (tmp_path / f"{name}.txt").write_text("\n<|endoftext|>\n".join(own), "utf-8")

    def read(**data: object) -> dict[str, list[str]]:
        data = {"sources": [str(tmp_path / "large.txt"), str(tmp_path / "few.txt")], **data}
        model = {"family": "modern", "dim": 16, "num_layers": 1, "num_heads": 2, "ffn_dim": 16}
        training = {"length": {"steps": 1}, "context_length": 24}
        config = recipe_from({"data": data, "model": model, "training": training}, "a test").data
        return {part: [text for _, text in texts(config.sources, config, part)] for part in PARTS}

    return read


SPLIT = {"kind": "hash", "validation": 0.3, "test": 0.2}


def test_a_word_in_the_recipe_removes_duplicate_content(parts):
    everything = parts(split=SPLIT)
    exact = parts(split=SPLIT, cleaning={"duplicates": True})
    near = parts(split=SPLIT, cleaning={"duplicates": {"near": True}})
    counts = [sum(map(len, found.values())) for found in (everything, exact, near)]
    assert counts[0] == 340 > counts[1] == 330 > counts[2] > 150
    kept = [text for part in PARTS for text in near[part]]
    assert not [1 for one, other in combinations(kept, 2) if one[:40] == other[:40] and jaccard(one, other) >= 0.8]


@pytest.mark.parametrize("keep", [True, False])
def test_near_duplicates_never_straddle_a_hash_split_nor_two_sources_of_unlike_sizes(parts, keep):
    found = parts(split=SPLIT, cleaning={"duplicates": {"near": {"keep": keep}}})
    assert all(len(found[part]) > 20 for part in PARTS)
    pairs = [(one, other) for a, b in combinations(PARTS, 2) for one, other in product(found[a], found[b])]
    alike = [(one, other) for one, other in pairs if len(set(one.split()) & set(other.split())) > 30]
    assert not [1 for one, other in alike if jaccard(one, other) >= 0.8]


def test_without_looking_for_them_near_duplicates_do_straddle_it(parts):
    found = parts(split=SPLIT)
    assert any(jaccard(one, other) >= 0.8 for one, other in product(found["train"], found["validation"]))
