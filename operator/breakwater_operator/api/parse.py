"""From JSON to a model, with faults that say where and what to write."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from breakwater_operator.api.errors import Fault, SpecError

M = TypeVar("M", bound=BaseModel)

PLAIN = {
    "extra_forbidden": "is not a field here; remove it or correct its name",
    "missing": "is missing; add it",
}
"""What pydantic says in words of its own that we say in ours."""


def parse(model: type[M], content: Mapping[str, Any], where: str = "") -> M:
    """Read a model from what a user wrote, as strictly as the API server does.

    Args:
        model: The model.
        content: What the user wrote.
        where: The field that `content` stands in, as in `spec`.

    Raises:
        SpecError: With every fault.
    """
    try:
        # Through JSON, since only there a strict model takes a list for a tuple.
        return model.model_validate_json(
            json.dumps(content), strict=True, by_alias=True, by_name=False
        )
    except ValidationError as error:
        details = _own(error.errors(include_url=False))
        raise SpecError(_fault(detail, content, where) for detail in details) from error


def _own(details: Iterable[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out what only follows from another fault: a list is too short once its item failed."""
    found = list(details)
    return [
        detail
        for detail in found
        if detail["type"] != "too_short" or not any(_below(other, detail) for other in found)
    ]


def _below(detail: ErrorDetails, other: ErrorDetails) -> bool:
    depth = len(other["loc"])
    return len(detail["loc"]) > depth and detail["loc"][:depth] == other["loc"]


def _fault(detail: ErrorDetails, content: Mapping[str, Any], where: str) -> Fault:
    field = _path(detail["loc"], content, where)
    if detail["type"] in PLAIN:
        return Fault(field, PLAIN[detail["type"]])
    message = detail["msg"].removeprefix("Value error, ")
    found = detail["input"]
    # Values are shown where they help and cannot be a secret: env values are never wrong by shape.
    if isinstance(found, str | int | float) and str(found) not in message:
        message = f"{found!r}: {message}"
    if detail["type"] == "string_type" and isinstance(found, int | float):
        # YAML takes it for a number, or for a boolean as it does `on`.
        message += "; put it in quotes"
    return Fault(field, message)


def _path(loc: tuple[int | str, ...], content: Any, where: str) -> str:
    """Write a place as people do, list items by their name where they have one."""
    path, here = where, content
    for step in loc:
        here = _descend(here, step)
        if isinstance(step, int):
            name = here.get("name") if isinstance(here, Mapping) else None
            path += f"[{name if isinstance(name, str) else step}]"
        else:
            path += f".{step}" if path else step
    return path


def _descend(content: Any, step: int | str) -> Any:
    try:
        return content[step]
    except (KeyError, IndexError, TypeError):
        return None
