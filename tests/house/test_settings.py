import importlib
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from tests.house.sources import SOURCES

from lilliput.config.fields import fields, is_settings, place_of
from lilliput.config.settings import Resume


def settings_classes() -> list[type]:
    """Every `@settings` class of the package; modules that declare none are not imported."""
    found: dict[str, type] = {}
    for source in SOURCES:
        if "\n@settings\n" in source.text:
            module = importlib.import_module(f"lilliput.{source.name.removesuffix('.py').replace('/', '.')}")
            own = [
                value for value in vars(module).values() if is_settings(value) and value.__module__ == module.__name__
            ]
            found |= {f"{kind.__module__}.{kind.__qualname__}": kind for kind in own}
    return list(found.values())


FIELDS = [(f"{kind.__name__}.{name}", info) for kind in settings_classes() for name, info in fields(kind).items()]


def is_tag(info: Any) -> bool:
    return get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1


def test_every_leaf_declares_exactly_once_what_a_change_means_to_a_resumed_run():
    def is_right(info: Any) -> bool:
        at, count = place_of(info), sum(isinstance(entry, Resume) for entry in info.metadata)
        is_section = not at.is_leaf and at.plain in ((), (NoneType,))
        return count == 1 or (count == 0 and (is_section or is_tag(info)))

    assert FIELDS
    assert [name for name, info in FIELDS if not is_right(info)] == []


def test_every_setting_says_what_it_means():
    leaves = [(name, info) for name, info in FIELDS if place_of(info).is_leaf and not is_tag(info)]
    assert [name for name, info in leaves if not (info.description or "").strip()] == []


def test_a_union_of_settings_has_a_tag():
    assert [name for name, info in FIELDS if len(place_of(info).members) > 1 and place_of(info).tag is None] == []
