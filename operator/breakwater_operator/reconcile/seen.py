"""What a pass finds out, and what comes of it."""

from dataclasses import dataclass, field
from datetime import datetime

from breakwater_operator.api.errors import Fault, NotReadyError
from breakwater_operator.api.models import McpServer
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.status.facts import Problem

TAKEN_AGAIN_SECONDS = 30.0
"""When to look again at an object of others that has the name of a child; nobody tells us of it."""


class OwnerGoneError(Exception):
    """The McpServer is no longer there, or is being deleted: nothing of it may be made again."""


@dataclass
class Result:
    """What came of a pass."""

    outcome: str
    """`done`, `invalid`, `waiting`, `failed` or `gone`."""
    failure: ApiError | None = None
    """Why it has to be tried again."""
    again_seconds: float | None = None
    """When to look again although nothing changes."""


@dataclass
class Seen:
    """What a pass has found out so far, in the words of `Facts`."""

    server: McpServer | None = None
    was_verified: bool = False
    """Whether the server has ever been spoken with."""
    faults: tuple[Fault, ...] = ()
    waits: list[NotReadyError] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    failure: ApiError | None = None
    revision: str | None = None
    """The revision that the pods should run, once that is known."""
    awaited: str | None = None
    """That revision, where pods stay of another one until it can be run."""
    key_secret: str | None = None
    """The Secret that the keys come from, once that is known."""
    is_key_changed: bool = False
    is_outdated: bool = False
    """Whether the pods wait for their turn to be upgraded."""
    is_settled: bool = False
    """Whether every child was found to be as it should be, and nothing else is to be said."""
    until: datetime | None = None
    """When all this has to be looked at anew although nothing changes."""
    live: str | None = None
    """The hash of live settings that every pod should have loaded."""
    paused_until: datetime | None = None
    """Until when nothing is written, where somebody said so."""
    is_paused: bool = False
    """Whether nothing is written: also where nobody can read until when."""


def concluded(seen: Seen, again_seconds: float | None) -> Result:
    """Say what came of a pass that found this out."""
    if seen.failure is not None:
        return Result("failed", failure=seen.failure)
    if seen.faults:
        return Result("invalid", again_seconds=again_seconds)
    if seen.paused_until is not None:
        return Result("waiting", again_seconds=again_seconds)
    if seen.problems:
        again_seconds = min(again_seconds or TAKEN_AGAIN_SECONDS, TAKEN_AGAIN_SECONDS)
    outcome = "waiting" if seen.waits or seen.problems else "done"
    return Result(outcome, again_seconds=again_seconds)
