"""Which variables there are: one for each leaf of the settings, made from their models."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from breakwater_contract.settings import RuntimeSettings
from breakwater_contract.words import words

PREFIX = "BREAKWATER_"

Path = tuple[str | int, ...]

NOT_OFFERED: frozenset[Path] = frozenset(
    {
        ("version",),
        ("revision",),
        ("liveFile",),
        ("live", "version"),
        ("live", "operatorKeys"),
    }
)
"""What only an operator writes, or what has one value only."""

WITHOUT_NAME: frozenset[Path] = frozenset({("live",)})
"""Sections whose name says nothing where everything is in one place."""

SINGULAR: dict[Path, str] = {("backends",): "BACKEND"}
"""Lists of objects that mostly have one item: its leaves have variables of their own."""


class Kind(Enum):
    """How a value is written."""

    TEXT = "text"
    NUMBER = "a whole number"
    FLAG = "`true` or `false`"
    LIST = "items with commas between them, or a JSON list"
    JSON = "JSON"


@dataclass(frozen=True)
class Variable:
    """A variable that sets one leaf."""

    name: str
    path: Path
    """Where its value stands in the settings."""
    kind: Kind
    meaning: str
    default: Any
    """None: there is none."""


@cache
def variables() -> tuple[Variable, ...]:
    """List every variable, in the order of the settings."""
    return tuple(_walk(RuntimeSettings, (), PREFIX))


@cache
def by_path() -> dict[Path, Variable]:
    """Find variables by the leaf that they set."""
    return {variable.path: variable for variable in variables()}


def variable_at(location: Path) -> tuple[str, Path]:
    """Say which variable sets a place in the settings, and what of the place is left inside it.

    A place that no single variable sets is named by what its variables begin with.
    """
    for end in range(len(location), 0, -1):
        if (found := by_path().get(location[:end])) is not None:
            single = SINGULAR.get(location)
            name = f"{PREFIX}{single}_* (one), or {found.name}" if single else found.name
            return name, location[end:]
    below = [each.name for each in variables() if each.path[: len(location)] == location]
    if location and below:
        return f"{_common(below)}*", ()
    return "the environment", location


def _common(names: list[str]) -> str:
    first, last = min(names), max(names)
    count = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[:count].rpartition("_")[0] + "_"


def _walk(model: type[BaseModel], path: Path, prefix: str) -> Iterator[Variable]:
    said = words(model)
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        if here in NOT_OFFERED:
            continue
        plain = _plain(field.annotation)
        if _is_model(plain):
            yield from _walk(
                plain, here, prefix if here in WITHOUT_NAME else f"{prefix}{name}_".upper()
            )
            continue
        kind, default = _kind(plain), _default(field)
        yield Variable(f"{prefix}{name}".upper(), here, kind, said.get(name, ""), default)
        if here in SINGULAR:
            yield from _walk(_item(plain), (*here, 0), f"{prefix}{SINGULAR[here]}_")


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _kind(plain: Any) -> Kind:
    if get_origin(plain) is tuple:
        item = _item(plain)
        return Kind.JSON if _is_model(item) or get_origin(item) is dict else Kind.LIST
    if get_origin(plain) is dict or plain is dict:
        return Kind.JSON
    if plain is bool:
        return Kind.FLAG
    return Kind.NUMBER if plain is int else Kind.TEXT


def _item(plain: Any) -> Any:
    return _plain(get_args(plain)[0])


def _plain(annotation: Any) -> Any:
    """Take away what says more than the kind: constraints, and that a value may be absent."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        members = [member for member in get_args(annotation) if member is not NoneType]
        return _plain(members[0]) if len(members) == 1 else dict
    return annotation


def _is_model(plain: Any) -> bool:
    return isinstance(plain, type) and issubclass(plain, BaseModel)
