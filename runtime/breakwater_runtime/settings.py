"""The settings file: read whole, and refused with every fault that it has."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from breakwater_contract.model import Model
from breakwater_contract.settings import RuntimeSettings

FOUND_CHARACTERS_MAX = 60

M = TypeVar("M", bound=Model)


class SettingsError(Exception):
    """Settings that cannot be used."""

    def __init__(self, faults: Iterable[str]) -> None:
        """Keep every fault, in the order of the file."""
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


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
    try:
        return model.model_validate(_decode(content, file))
    except ValidationError as error:
        faults = [f"{file}: {_fault(model, each)}" for each in _innermost(error.errors())]
        raise SettingsError(faults) from error


def _decode(content: bytes, file: str) -> Any:
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
    """Say one of pydantic's faults: where, what was found, what is accepted."""
    where = _path(error["loc"]) or "the file"
    match error["type"]:
        case "extra_forbidden":
            return f"{where}: unknown field; {_accepted(model, error['loc'])}"
        case "missing":
            return f"{where}: required, and not there"
        case "value_error":
            return f"{where}: {error['ctx']['error']}"
        case _:
            found = json.dumps(error["input"], default=str)
            if len(found) > FOUND_CHARACTERS_MAX:
                found = f"{found[:FOUND_CHARACTERS_MAX]}..."
            return f"{where}: found {found}; {error['msg'][0].lower()}{error['msg'][1:]}"


def _path(location: Iterable[str | int]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


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
