"""The shape of settings: which classes, lists or plain values may stand at each place of a recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from lilliput.config.settings import Resume


@dataclass(frozen=True)
class Place:
    """What may stand at one place: settings of one of `members`, several `items`, or another plain value."""

    members: tuple[type, ...] = ()
    tag: str | None = None
    """The key that tells the members apart, such as `kind`."""
    items: "Place | None" = None
    """What the elements of a list, or the values of a mapping, may be, where these are settings."""
    plain: tuple[Any, ...] = ()
    """Annotations of everything else: `int`, `Literal["auto"]`, `None`."""
    resume: Resume | None = None
    limits: tuple[Any, ...] = field(default=(), compare=False)
    """Bounds such as `Gt(gt=0)`."""
    labels: int = 0
    """How many words pydantic puts into an error's path here, that are no keys."""

    @property
    def is_leaf(self) -> bool:
        return not self.members and self.items is None

    def names(self) -> list[str]:
        """The members' tags in order."""
        return [tag_value(member, self.tag) for member in self.members] if self.tag else []

    def member(self, tree: Mapping[str, Any]) -> type | None:
        """The class that a mapping is meant for, or None where its tag does not say."""
        if self.tag is None:
            return self.members[0] if len(self.members) == 1 else None
        return dict(zip(self.names(), self.members, strict=True)).get(str(tree.get(self.tag)))


def is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and is_dataclass(kind) and hasattr(kind, "__pydantic_fields__")


def fields(kind: type) -> dict[str, FieldInfo]:
    """Fields in the order they were written."""
    known: dict[str, FieldInfo] = kind.__pydantic_fields__  # type: ignore[attr-defined]
    return {name: known[name] for name in kind.__dataclass_fields__ if name in known}  # type: ignore[attr-defined]


def tag_value(member: type, tag: str) -> str:
    """The word that names a member of a union."""
    return str(get_args(fields(member)[tag].annotation)[0])


def place_of(info: FieldInfo) -> Place:
    """The place that a field is."""
    return place(info.annotation, [info, *info.metadata])


def place(annotation: Any, metadata: list[Any] | None = None) -> Place:
    """The place that an annotation describes."""
    found = list(metadata or [])
    while get_origin(annotation) is Annotated or hasattr(annotation, "__value__"):
        if hasattr(annotation, "__value__"):
            annotation = annotation.__value__
        else:
            annotation, *more = get_args(annotation)
            found += [entry for extra in more for entry in ([extra, *getattr(extra, "metadata", [])])]
    resume = next((entry for entry in found if isinstance(entry, Resume)), None)
    tag = next((entry.discriminator for entry in found if getattr(entry, "discriminator", None)), None)
    limits = tuple(entry for entry in found if not isinstance(entry, Resume | FieldInfo))
    if is_settings(annotation):
        return Place(members=(annotation,), resume=resume)
    if get_origin(annotation) in (Union, UnionType):
        return _union(get_args(annotation), tag, resume, limits)
    element = _element(annotation)
    if element is not None and not element.is_leaf:
        return Place(items=element, resume=resume, limits=limits)
    return Place(plain=(annotation,), resume=resume, limits=limits)


def _union(alternatives: tuple[Any, ...], tag: Any, resume: Resume | None, limits: tuple[Any, ...]) -> Place:
    parts = [place(alternative) for alternative in alternatives]
    plain = tuple(alternative for alternative, part in zip(alternatives, parts, strict=True) if part.is_leaf)
    labels = int(sum(alternative is not NoneType for alternative in alternatives) > 1)
    return Place(
        members=tuple(member for part in parts for member in part.members),
        tag=tag or next((part.tag for part in parts if part.tag), None),
        items=next((part.items for part in parts if part.items), None),
        plain=plain,
        resume=resume,
        limits=limits,
        labels=labels + max(part.labels for part in parts),
    )


def _element(annotation: Any) -> Place | None:
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal or not arguments:
        return None
    return place(arguments[1] if get_origin(annotation) in (dict, Mapping) else arguments[0])


def dump(value: Any) -> dict[str, Any]:
    """Settings as a plain JSON tree with every default written out; `load` reads it back to an equal value."""
    tree: dict[str, Any] = TypeAdapter(type(value)).dump_python(value, mode="json")
    return tree


def default_of(info: FieldInfo) -> Any:
    """A field's default as a JSON tree, or None where it has none."""
    value = info.get_default(call_default_factory=True) if not info.is_required() else None
    return TypeAdapter(Any).dump_python(value, mode="json")


def complete(at: Place, tree: Any, default: Any) -> Any:
    """A recipe's tree with the keys that it leaves to `default`; another tag leaves nothing of the default."""
    if isinstance(tree, list) and at.items is not None:
        return [complete(at.items, item, None) for item in tree]
    if not isinstance(tree, dict) or not at.members:
        return tree
    base = default if isinstance(default, dict) and _same_member(at, tree, default) else {}
    member = at.member({**base, **tree})
    if member is None:
        return tree
    known = {name: info for name, info in fields(member).items() if name in tree}
    below = {
        name: complete(place_of(info), tree[name], base[name] if name in base else default_of(info))
        for name, info in known.items()
    }
    return {**base, **tree, **below}


def _same_member(at: Place, tree: dict[str, Any], default: dict[str, Any]) -> bool:
    return at.tag is None or tree.get(at.tag, default.get(at.tag)) == default.get(at.tag)
