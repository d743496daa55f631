import json

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.mixing import weights
from lilliput.stages.recipe import recipe_from


def data(sources, **more):
    tree = {
        "data": {"sources": sources, **more},
        "model": {"family": "modern", "dim": 16, "num_layers": 1, "num_heads": 2, "ffn_dim": 16},
        "training": {"length": {"steps": 1}, "context_length": 24},
    }
    return recipe_from(json.loads(json.dumps(tree)), "a test").data


def limits(found, name):
    return [getattr(source, name) for source in found.sources]


GUIDE = [{"path": "books", "weight": 0.6}, {"name": "wikitext-103", "weight": 0.3, "max_samples": 5000}, "wikitext-2"]


def test_a_limit_of_the_whole_is_divided_by_weight_and_own_limits_stay():
    found = data([*GUIDE[:2], {"name": "wikitext-2", "weight": 0.1}], max_samples=50_000)
    assert limits(found, "max_samples") == [30_000, 5000, 5000]


@pytest.mark.parametrize("limit", ["max_samples", "max_bytes", "max_tokens", "max_files"])
def test_the_parts_of_a_limit_add_up_to_it(limit):
    found = data([{"name": "tiny", "weight": 1}, {"name": "verdict", "weight": 1}, "shakespeare"], **{limit: 100})
    assert sorted(limits(found, limit)) == [33, 33, 34]
    assert all(limits(found, other) == [None] * 3 for other in {"max_samples", "max_bytes"} - {limit})


def test_files_are_divided_among_the_sources_that_have_some():
    assert limits(data(["tales", "tiny", "verdict"], max_files=10), "max_files") == [None, 5, 5]


def test_in_stages_a_limit_is_divided_by_what_each_source_has_of_the_whole_run():
    sources = [{"name": "tiny", "weight": [1, 0]}, {"name": "verdict", "weight": [1, 1]}]
    assert limits(data(sources, stages=[0.5], max_samples=100), "max_samples") == [25, 75]


def test_resolved_limits_resolve_to_themselves():
    found = data(["tiny", "verdict", "shakespeare"], max_samples=100)
    again = data([{"kind": "published", "name": s.name, "max_samples": s.max_samples} for s in found.sources])
    assert limits(again, "max_samples") == limits(found, "max_samples")


def test_each_stage_has_shares_that_add_up_to_one():
    found = data([{"name": "tiny", "weight": [3, 1, 0]}, {"name": "verdict", "weight": 1}], stages=[0.5, 0.9])
    assert weights(found.sources, found) == [[0.75, 0.25], [0.5, 0.5], [0.0, 1.0]]


TWO = [{"name": "tiny", "weight": [1, 2]}, "verdict"]
WRONG = [
    (TWO, {}, r"sources\[0\].weight: tiny has 2 weights; it may be a number"),
    (TWO, {"stages": [0.2, 0.5]}, r"sources\[0\].weight: tiny has 2 weights; .* a list of 3"),
    ([{"name": "tiny", "weight": [0, 0]}, "verdict"], {"stages": [0.5]}, r"sources\[0\].weight: tiny is 0 in every"),
    (
        [{"name": "tiny", "weight": [0, 1]}, {"name": "verdict", "weight": [0, 1]}],
        {"stages": [0.5]},
        "every weight of stage 1 is 0",
    ),
    (["tiny", "verdict"], {"stages": [0.5]}, r"stages: no source has a weight for each of 2 stages"),
    (TWO, {"stages": [0.5, 0.2]}, r"stages: \[0.5, 0.2\] has to rise"),
    (TWO, {"stages": [0.5, 0.5]}, r"stages: \[0.5, 0.5\] has to rise"),
    (TWO, {"stages": [1.0]}, r"data.stages: \[1.0\] is not possible; it may be a list of numbers > 0 and < 1"),
    (TWO, {"stages": [0]}, r"data.stages: \[0\] is not possible; it may be a list of numbers > 0 and < 1"),
    (TWO, {"stages": 0.5}, r"data.stages: 0.5 is not possible; it may be a list of numbers > 0 and < 1"),
    ([{"name": "tiny", "weight": 0}], {}, r"data.sources\[0\].weight: 0 is not possible; it may be a number > 0"),
    (["tiny", "verdict"], {"max_samples": 1}, "max_samples: 1 divided by weight leaves none for verdict"),
    (["tiny"], {"max_samples": 0}, "data.max_samples: 0 is not possible; it may be a whole number > 0 or null"),
    (["tiny"], {"max_tokens": "9"}, 'data.max_tokens: "9" is not possible; it may be a whole number > 0 or null'),
    (["tales"], {"max_files": 3}, "max_files: 3 limits nothing, for no source has files"),
    ([{"name": "tiny", "max_files": 0}], {}, r"data.sources\[0\].max_files: 0 is not possible"),
    ([{"name": "tales", "max_files": 2}], {}, "max_files: tales have no files"),
]


@pytest.mark.parametrize(("sources", "more", "said"), WRONG, ids=[said[:40] for _, _, said in WRONG])
def test_what_does_not_fit_is_refused_with_its_key_and_what_it_may_be(sources, more, said):
    with pytest.raises(LilliputError, match=said) as error:
        data(sources, **more)
    assert error.value.code is Exit.RECIPE
