"""The settings file: read whole, and refused with every fault that it has."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from breakwater_contract.model import Model
from breakwater_contract.settings import RuntimeSettings

FOUND_CHARACTERS_MAX = 60

Location = tuple[str | int, ...]

M = TypeVar("M", bound=Model)


class SettingsError(Exception):
    """Settings that cannot be used."""

    def __init__(self, faults: Iterable[str]) -> None:
        """Keep every fault, in the order of the file."""
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


@dataclass(frozen=True)
class KeySource:
    """Where keys come from that no settings file names."""

    name: str
    """What people call it: a variable of the environment."""
    read: Callable[[], Mapping[str, bytes]]
    """Read the lines of keys by principal, each time anew.

    Raises:
        OSError: They cannot be read.
        ValueError: They are not written as they should be; the message repeats none.
    """


@dataclass(frozen=True)
class Given:
    """What a process was given beside its settings, since it is secret."""

    keys: tuple[KeySource, ...] = ()
    """Keys of clients."""
    admin_key: bytes | None = None
    """A key that shows the details on the management port."""


NOTHING_GIVEN = Given()


def load(path: Path) -> RuntimeSettings:
    """Read the settings of this process.

    Raises:
        SettingsError: The file cannot be read or has faults.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    return parse(RuntimeSettings, content, path.name)


def parse(model: type[M], content: bytes, file: str) -> M:
    """Make settings from JSON, or from YAML where the file's name ends so.

    Raises:
        SettingsError: Every fault, each with the file, the path in it, what was found and what is
            accepted.
    """
    return validated(model, decode(content, file), lambda loc: f"{file}: {path(loc) or 'the file'}")


def validated(model: type[M], content: Any, where: Callable[[Location], str]) -> M:
    """Make settings from what was decoded.

    Args:
        model: The model.
        content: Its members.
        where: Says where a place in them was written.

    Raises:
        SettingsError: Every fault.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults = [
            f"{where(each['loc'])}: {_fault(model, each)}" for each in _innermost(error.errors())
        ]
        raise SettingsError(faults) from error


def decode(content: bytes, file: str) -> Any:
    """Read JSON, or YAML where the file's name ends so.

    Raises:
        SettingsError: It is neither.
    """
    try:
        text = content.decode()
        if file.endswith((".yaml", ".yml")):
            return _yaml(text)
        return json.loads(text, object_pairs_hook=_members)
    except ValueError as error:
        raise SettingsError([f"{file}: {error}"]) from error


def _yaml(text: str) -> Any:
    import yaml  # only where it is wanted: the operator renders JSON

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"written twice in one object: {', '.join(twice)}")
    return members


def _innermost(errors: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Drop what is wrong with a list only because something is wrong with an item of it."""
    errors = list(errors)
    locations = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if not any(
            len(other) > len(error["loc"]) and other[: len(error["loc"])] == error["loc"]
            for other in locations
        )
    ]


def _fault(model: type[Model], error: Mapping[str, Any]) -> str:
    """Say one of pydantic's faults: what was found, what is accepted."""
    match error["type"]:
        case "extra_forbidden":
            return f"unknown field; {_accepted(model, error['loc'])}"
        case "missing":
            return "required, and not there"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            found = json.dumps(error["input"], default=str)
            if len(found) > FOUND_CHARACTERS_MAX:
                found = f"{found[:FOUND_CHARACTERS_MAX]}..."
            return f"found {found}; {error['msg'][0].lower()}{error['msg'][1:]}"


def path(location: Location) -> str:
    """Write a place as people do, as in `live.access.policies[0].name`."""
    written = ""
    for part in location:
        written += f"[{part}]" if isinstance(part, int) else f".{part}" if written else part
    return written


def _accepted(model: type[Model], location: tuple[str | int, ...]) -> str:
    """Name the fields that stand where an unknown one was found."""
    *parents, unknown = location
    holder: type[BaseModel] = model
    for part in parents:
        if isinstance(part, str):
            holder = _model_of(_fields(holder)[part]) or holder
    names = list(_fields(holder))
    close = get_close_matches(str(unknown), names, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}accepted: {', '.join(names)}"


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """Find the model in an annotation such as `tuple[Backend, ...]` or `LiveSettings | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_of(arg))), None)
