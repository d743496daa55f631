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
    return cast(type[Kind], dataclass(frozen=True, kw_only=True, config=rules)(kind))
