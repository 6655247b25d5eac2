"""W3C trace context: where clients put it, and what is passed on to backends."""

import re
from collections.abc import Mapping
from typing import Any, Protocol

from breakwater_runtime.calls import Call, Request

TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
TRACESTATE_CHARACTERS_MAX = 512

_ours: list[object] = []


class SpanContext(Protocol):
    """Where in a trace something is."""

    @property
    def trace_id(self) -> int:
        """The trace."""

    @property
    def span_id(self) -> int:
        """The span."""

    @property
    def trace_flags(self) -> int:
        """Whether it is recorded."""


def format_parent(span: SpanContext) -> str:
    """Write a span as those write it who call others."""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags & 1:02x}"


def mark_ours(provider: object) -> None:
    """Remember that the process's provider of traces is ours, and not that of a tool's code."""
    _ours.append(provider)


def is_ours(provider: object) -> bool:
    """Say whether a provider of traces is ours."""
    return any(each is provider for each in _ours)


def of_message(params: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Get `traceparent` and `tracestate` of a message's `_meta`; None: it names no parent."""
    meta = (params or {}).get("_meta")
    if not isinstance(meta, dict):
        return None
    parent = meta.get("traceparent")
    if not isinstance(parent, str) or not TRACEPARENT.fullmatch(parent):
        return None
    return parent, _state(meta.get("tracestate"))


def well_formed(header: bytes | None) -> str:
    """Get a `traceparent` that a client sent as a header; empty: none, or one that is no such."""
    text = header.decode("latin-1").strip() if header is not None else ""
    return text if TRACEPARENT.fullmatch(text) else ""


def outgoing(call: Call) -> dict[str, str]:
    """Make the headers that a backend gets with a call: the request's id, and its trace.

    With tracing on the call's own span is the parent; with it off, the client's, unchanged.
    """
    request = Request.find(call.scope)
    headers = {"x-request-id": request.id} if request is not None else {}
    parent, state = of_message(call.params) or ("", "")
    if not parent and request is not None:
        parent = well_formed(request.headers.get(b"traceparent"))
    parent = call.traceparent or parent
    if parent:
        headers["traceparent"] = parent
    if state:
        headers["tracestate"] = state
    return headers


def _state(value: object) -> str:
    if not isinstance(value, str) or len(value) > TRACESTATE_CHARACTERS_MAX:
        return ""
    # It becomes a header: a line break in it would be another one.
    return value if value.isascii() and value.isprintable() else ""
