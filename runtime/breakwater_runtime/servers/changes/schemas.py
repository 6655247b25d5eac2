"""The arguments of the tools, as their input schemas show them.

The schemas say what is accepted; the checks are those of `proposal` and `names`, whose messages
tell a model what to write instead.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from breakwater_runtime.servers.changes.names import ACCEPTED, NAME_LENGTH_MAX, NAME_PATTERN
from breakwater_runtime.servers.changes.proposal import (
    DELTAS_MAX,
    TASK_LENGTH_MAX,
    TASKS_MAX,
    TEXT_LENGTH_MAX,
    TITLE_LENGTH_MAX,
)

_NAME: dict[str, Any] = {
    "type": "string",
    "pattern": f"^{NAME_PATTERN}$",
    "maxLength": NAME_LENGTH_MAX,
}


def _text(length_max: int, description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "maxLength": length_max, "description": description})


def _at_most(count: int, what: str) -> BeforeValidator:
    """Refuse a collection before its entries are looked at.

    Otherwise a hundred thousand wrong entries would be a hundred thousand complaints.
    """

    def check(value: object) -> object:
        if isinstance(value, Sized) and not isinstance(value, str) and len(value) > count:
            raise ValueError(f"{len(value)} {what}; at most {count} are accepted")
        return value

    return BeforeValidator(check)


ChangeId = Annotated[
    str, WithJsonSchema({**_NAME, "description": f"Id of the change: {ACCEPTED}."})
]
Title = Annotated[str, _text(TITLE_LENGTH_MAX, "One line that names the change.")]
Why = Annotated[str, _text(TEXT_LENGTH_MAX, "Why it is proposed, in Markdown.")]
WhatChanges = Annotated[str, _text(TEXT_LENGTH_MAX, "What will be different, in Markdown.")]
Design = Annotated[
    str, _text(TEXT_LENGTH_MAX, "Technical decisions, in Markdown; only where there are any.")
]
Tasks = Annotated[
    list[str],
    _at_most(TASKS_MAX, "tasks"),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": TASK_LENGTH_MAX},
            "maxItems": TASKS_MAX,
            "description": "What is to be done, one line each, in order.",
        }
    ),
]
Deltas = Annotated[
    dict[str, str],
    _at_most(DELTAS_MAX, "deltas"),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": _NAME,
            "additionalProperties": {
                "type": "string",
                "minLength": 1,
                "maxLength": TEXT_LENGTH_MAX,
            },
            "maxProperties": DELTAS_MAX,
            "description": "By capability, how its requirements change: Markdown with sections "
            "like '## ADDED Requirements'.",
        }
    ),
]
Force = Annotated[
    bool, Field(description="Archive although tasks are unchecked or cannot be read.")
]
