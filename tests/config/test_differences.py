from dataclasses import replace
from typing import Any

from tests.config.nest import Nest, Round, Schedule, Square

from lilliput.config.differences import Difference, differences
from lilliput.config.load import dump
from lilliput.config.settings import Resume

OLD = Nest(model=Square(dim=12), many=[Round()])


def found(**changed: Any) -> list[Difference]:
    return differences(Nest, dump(OLD), dump(replace(OLD, **changed)))


def test_equal_configurations_do_not_differ():
    assert found() == []


def test_each_changed_leaf_carries_its_own_class():
    assert found(seed=7, loud=True, schedule=Schedule(size=5)) == [
        Difference("seed", 42, 7, Resume.SEMANTIC),
        Difference("loud", False, True, Resume.DISPLAY),
        Difference("schedule.size", 3, 5, Resume.SAFE),
    ]


def test_another_member_of_a_union_is_another_thing():
    first = found(model=Round())[0]
    assert first == Difference("model.family", "square", "round", Resume.FATAL)


def test_an_element_that_only_one_has_is_a_difference():
    assert Difference("many[0].radius", 1.5, None, Resume.SEMANTIC) in found(many=[])


def test_a_class_declared_further_out_counts_for_all_beneath_it():
    assert {difference.resume for difference in found(extra=[Square(dim=3)])} == {Resume.SAFE}


def test_a_key_that_only_an_older_version_knew_is_a_difference():
    assert differences(Nest, {**dump(OLD), "old": 1}, dump(OLD)) == [Difference("old", 1, None, Resume.SEMANTIC)]
