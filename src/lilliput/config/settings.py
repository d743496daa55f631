"""`@settings`, the one way to declare configuration, and the four resume classes of a setting."""

from enum import Enum
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field, GetJsonSchemaHandler
from pydantic.dataclasses import dataclass
from pydantic_core import CoreSchema


class Resume(Enum):
    """What a changed value means when a run is resumed."""

    DISPLAY = "display"
    """Changes what is shown; taken silently."""
    SAFE = "safe"
    """Changes how a run is carried out, not what it computes; taken and noted."""
    SEMANTIC = "semantic"
    """Changes what the run computes from here on; refused unless allowed by name."""
    FATAL = "fatal"
    """Makes the stored state meaningless; always refused."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "resume": self.value}


Value = TypeVar("Value")
Kind = TypeVar("Kind")

Display = Annotated[Value, Resume.DISPLAY]
Safe = Annotated[Value, Resume.SAFE]
Semantic = Annotated[Value, Resume.SEMANTIC]
Fatal = Annotated[Value, Resume.FATAL]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def settings(kind: type[Kind]) -> type[Kind]:
    """A frozen, keyword-only dataclass that refuses unknown keys and never guesses a type."""
    rules = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)
    made: Any = dataclass(frozen=True, kw_only=True, config=rules)(_with_described_schema(kind))
    # Pydantic reads the docstrings under a class's own fields only, not under those of the classes it extends.
    for name, info in made.__pydantic_fields__.items():
        known = [vars(base).get("__pydantic_fields__", {}).get(name) for base in made.__mro__]
        info.description = next((field.description for field in known if field and field.description), None)
    return cast(type[Kind], made)


def _with_described_schema(kind: Any) -> Any:
    def described(made: Any, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        for name, place in handler.resolve_ref_schema(schema)["properties"].items():
            place.setdefault("description", made.__pydantic_fields__[name].description or "")
        return schema

    kind.__get_pydantic_json_schema__ = classmethod(described)
    return kind
