"""What is said of a field twice: for the API server as CEL, for Python beside it.

Each model has its CEL rules in its configuration and a validator with the same messages below;
a test compares what both accept.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

Schema = dict[str, Any]


def rule(expression: str, message: str, field: str | None = None) -> Schema:
    """Make one CEL rule.

    Args:
        expression: True where the value is accepted.
        message: What to write instead.
        field: The part of the value that the message is about, as in `.name`.
    """
    place = {"fieldPath": field} if field else {}
    return {"rule": expression, "message": message, **place}


def rules(*items: Schema) -> Schema:
    """Attach rules to a model or field."""
    return {"x-kubernetes-validations": list(items)}


def list_map(*keys: str, rule: Schema | None = None) -> Schema:
    """Say that a list is merged item by item, each known by its keys, which occur only once."""
    schema: Schema = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
    return schema | (rules(rule) if rule else {})


ATOMIC: Schema = {"x-kubernetes-list-type": "atomic"}
"""Says that a list is replaced as a whole."""


def atomic(most: int, least: int = 0) -> Any:
    """Describe a list that is replaced as a whole, by how many items it may have."""
    return Field(min_length=least or None, max_length=most, json_schema_extra=ATOMIC)


SET: Schema = {"x-kubernetes-list-type": "set"}
"""Says that a list is merged item by item, and that no item occurs twice."""


def exactly_one(*fields: str) -> str:
    """Write the expression that is true where exactly one of some fields is set."""
    return f"[{', '.join(f'has(self.{field})' for field in fields)}].exists_one(is, is)"


def exactly_one_set(message: str, *values: object) -> None:
    """Check a union by presence.

    Raises:
        ValueError: None of them is set, or several are.
    """
    if sum(value is not None for value in values) != 1:
        raise ValueError(message)


def like(pattern: str) -> str:
    """Write the call that is true of a text with the shape that a pattern gives."""
    return f"matches(r'{pattern}')"


def quoted(items: Sequence[str]) -> str:
    """Write a list of strings in CEL."""
    return "[" + ", ".join(f"'{item}'" for item in items) + "]"
