"""The break-glass annotation: until when nothing of a server is written."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from breakwater_contract.names import API_GROUP
from breakwater_operator.api.errors import Fault, SpecError

ANNOTATION = f"{API_GROUP}/paused-until"

WHERE = f"metadata.annotations[{ANNOTATION}]"

SHAPE = (
    "is not a time with its zone; write one as in 2026-01-31T08:00:00Z, or remove the annotation. "
    "Nothing is written until then"
)

RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)", flags=re.ASCII
)

SHOWN_MAX = 64
"""Characters of a wrong value that a message repeats."""


def paused_until(obj: Mapping[str, Any], now: datetime) -> datetime | None:
    """Say until when a server is left as it is; None where it is not, or no longer.

    A value that is no time is a fault of the manifest, and nothing is written then either: somebody
    who meant to stop us must not be overruled because of a typing error.

    Args:
        obj: The McpServer as the API server gives it.
        now: The time, with its zone.

    Raises:
        SpecError: The annotation says no time.
    """
    text = (obj["metadata"].get("annotations") or {}).get(ANNOTATION)
    if text is None:
        return None
    until = _moment(text)
    if until is None:
        raise SpecError([Fault(WHERE, f"{text[:SHOWN_MAX]!r} {SHAPE}")])
    return until if until > now else None


def _moment(text: str) -> datetime | None:
    if not RFC_3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
