"""What a pod says of its health, as far as it can be used.

An image of a user's own may answer anything. What is kept of it is bounded, and can be written into
a status.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from breakwater_operator.status.facts import Finding, Probe

HEALTH_BYTES_MAX = 256 * 1024
"""Largest answer read; the runtime's own has a few thousand."""

FINDINGS_MAX = 64
TEXT_MAX = 1024
"""Characters of one text."""

SESSIONS_MAX = 10**9
"""More than that no pod has, and the API server has an end of numbers."""

KEY_UNKNOWN = "it does not know the operator's key yet"
"""A pod that started before the key was announced: as good as not reached, and soon over."""


def read_health(said: dict[str, Any]) -> Probe:
    """Read what a pod answered at `/health`.

    Raises:
        ValueError: It is something else; so do TypeError, LookupError and AttributeError say.
    """
    if "loaded" not in said:
        return Probe(reached=False, fault=KEY_UNKNOWN)
    sessions = max(0, min(int(said["sessions"]), SESSIONS_MAX)) if "sessions" in said else None
    return Probe(
        reached=True,
        revision=said.get("revision"),
        live=said["loaded"].get("live"),
        settings_fault=_fault(said, "settings"),
        rates_fault=_fault(said, "sharedRates"),
        findings=tuple(islice(_findings(said), FINDINGS_MAX)),
        sessions=sessions,
        operator_keys=tuple(map(str, said.get("operatorKeys") or ())),
    )


def _fault(said: dict[str, Any], part: str) -> str | None:
    fault = (said.get(part) or {}).get("fault")
    return _text(fault) if fault else None


def _findings(said: dict[str, Any]) -> Iterator[Finding]:
    """Read what is wrong with backends; one that failed without saying more has its state."""
    for backend in said.get("backends") or ():
        name, found = _text(backend["name"]), backend.get("findings") or ()
        for each in found:
            yield Finding(name, _text(each["reason"]), _text(each["message"]))
        if not found and backend["state"] != "ready":
            yield Finding(name, "", _text(backend.get("message") or backend["state"]))


def _text(said: object) -> str:
    """Keep what is text; JSON may hold halves of characters, which nobody can write down."""
    return str(said)[:TEXT_MAX].encode(errors="replace").decode()
