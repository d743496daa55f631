import pytest
from tests.config.nest import Nest, Oval, Pair

from lilliput.config.errors import LilliputError
from lilliput.config.reference import explain, reference, schema


def test_the_page_has_a_row_for_each_key_with_its_bounds_default_class_and_meaning():
    page = reference(Nest)
    assert "## `model` with family: square" in page
    assert "| `model.dim` | a whole number > 0 | required | fatal | Width of the square. |" in page
    assert "| `schedule.size` | a whole number > 0 or auto | `auto` | safe | How many at once. |" in page
    assert "| `many[].radius` | a number > 0 and < 100 | `1.5` | semantic | Half the width. |" in page


def test_a_key_is_explained_and_a_section_lists_its_keys():
    assert explain(Nest, "seed").splitlines() == [
        "seed",
        "  Where chance begins.",
        "  may be: a whole number",
        "  default: 42",
        "  on resume: semantic",
    ]
    assert [line for line in explain(Nest, "schedule").splitlines() if not line.startswith(" ") and line] == [
        "schedule",
        "schedule.warmup",
        "schedule.warmup.steps",
        "schedule.warmup.share",
        "schedule.size",
        "schedule.folder",
    ]


def test_an_unknown_key_names_the_nearest():
    for key, meant in [("model.dimm", "model.dim"), ("sed", "seed"), ("radius", ".radius")]:
        with pytest.raises(LilliputError, match=f"did you mean .*{meant}"):
            explain(Nest, key)


def test_a_last_word_that_several_keys_share_stands_for_the_shortest_then_the_first():
    with pytest.raises(LilliputError, match=r"did you mean model\.dim"):
        explain(Nest, "dim")


def test_the_schema_carries_meaning_bounds_and_resume_class():
    dim = schema(Nest)["$defs"]["Square"]["properties"]["dim"]
    assert (dim["exclusiveMinimum"], dim["resume"], dim["description"]) == (0, "fatal", "Width of\nthe square.")


def test_a_class_that_extends_another_keeps_its_explanations():
    assert "Half the width." in explain(Oval, "radius")
    assert schema(Oval)["properties"]["radius"]["description"] == "Half the width."


def test_what_members_of_a_union_share_stands_once_with_all_their_tags():
    assert explain(Pair, "either.dim").splitlines()[0] == "either.dim (kind: left, right)"
    assert explain(Pair, "either.depth").splitlines()[0] == "either.depth (kind: right)"
