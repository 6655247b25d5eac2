"""From JSON to a model, with faults that say where and what to write."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from breakwater_operator.api.errors import Fault, SpecError

M = TypeVar("M", bound=BaseModel)


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
        return model.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise SpecError(_fault(detail, content, where) for detail in error.errors()) from error


def _fault(detail: ErrorDetails, content: Mapping[str, Any], where: str) -> Fault:
    field = _path(detail["loc"], content, where)
    if detail["type"] == "extra_forbidden":
        return Fault(field, "is not a field here; remove it or correct its name")
    if detail["type"] == "missing":
        return Fault(field, "is missing; add it")
    return Fault(field, detail["msg"].removeprefix("Value error, "))


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
