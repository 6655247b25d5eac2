"""What one pass has seen of a server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from breakwater_operator.api.errors import ClusterError, Fault, NotReadyError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.names import FIRST_SLOT
from breakwater_operator.api.reasons import Reason


@dataclass(frozen=True)
class ServerInfo:
    """What a server says about itself."""

    name: str
    version: str
    protocol_versions: tuple[str, ...]
    tools: int
    """How many tools it lists."""


@dataclass(frozen=True)
class Finding:
    """What a pod says of one of its backends."""

    backend: str
    """Its name."""
    reason: str
    """Why, as the runtime calls it; a newer runtime may call it as nobody here knows."""
    message: str


@dataclass(frozen=True)
class Probe:
    """What came of asking one pod."""

    reached: bool
    """Whether the management port answered at all."""
    fault: str | None = None
    """Why it was not reached, or what was wrong with its answer; a sentence for people."""
    revision: str | None = None
    """The revision that the pod says it runs."""
    live: str | None = None
    """The hash of the live settings that the pod says it has loaded."""
    settings_fault: str | None = None
    """Why the pod refused newer live settings."""
    rates_fault: str | None = None
    """Why the store of shared rates is not asked."""
    findings: tuple[Finding, ...] = ()
    """What is wrong with its backends."""
    server: ServerInfo | None = None
    """What the MCP handshake gave."""
    sessions: int | None = None
    """How many sessions it holds; None: it does not say."""
    operator_keys: tuple[str, ...] = ()
    """The ids of the operator's keys that it knows."""


@dataclass(frozen=True)
class Pod:
    """A pod of the server, and what came of asking it."""

    object: Mapping[str, Any]
    probe: Probe | None = None
    """None where it was not asked (yet)."""


@dataclass(frozen=True)
class Problem:
    """Something wrong that only a person mends, found outside pods: a child name that is taken."""

    reason: Reason
    message: str


@dataclass(frozen=True, eq=False)
class Facts:
    """Everything that the status is concluded from.

    One is equal to itself only, so that what was concluded from it can be remembered.
    """

    name: str
    namespace: str
    generation: int
    now: datetime
    """With its zone."""
    server: McpServer | None = None
    """None where the spec could not be read; then `faults` says why."""
    faults: tuple[Fault, ...] = ()
    """What is wrong with the spec."""
    waits: tuple[NotReadyError, ...] = ()
    """What is waited for."""
    problems: tuple[Problem, ...] = ()
    failures: tuple[ClusterError, ...] = ()
    """What the cluster refused or failed to do in this pass."""
    paused_until: datetime | None = None
    """Until when nothing of the server is written. `generation` is then the one acted upon last."""
    is_paused: bool = False
    """Whether nothing of the server is written: also where nobody can read until when."""
    is_held_back: bool = False
    """Whether the manifest was changed since that one; `server` is None then."""
    deployment: Mapping[str, Any] | None = None
    """The Deployment of the stable slot as it is after this pass."""
    route: Mapping[str, Any] | None = None
    """The HTTPRoute, where there is one."""
    certificate: Mapping[str, Any] | None = None
    """The Certificate of cert-manager, where there is one."""
    autoscaler: Mapping[str, Any] | None = None
    """The HorizontalPodAutoscaler of the stable slot, where there is one."""
    pods: tuple[Pod, ...] = ()
    """The pods of the stable slot, also those of older revisions and terminating ones."""
    endpoints: int | None = None
    """Ready endpoints of the Service; None where that was not looked at."""
    revision: str | None = None
    """Name of the current revision."""
    live: str | None = None
    """The hash of live settings that every pod should have loaded."""
    is_outdated: bool = False
    """Whether the pods are as an older operator or platform made them, and wait for their turn."""
    key_secret: str | None = None
    """The Secret that the keys come from."""
    slot: str = FIRST_SLOT
    previous: Mapping[str, Any] = field(default_factory=dict)
    """The status as it was."""


Conclusion = TypeVar("Conclusion")


def once(conclude: Callable[[Facts], Conclusion]) -> Callable[[Facts], Conclusion]:
    """Remember what follows from the newest facts: a status asks for the same several times."""
    return lru_cache(maxsize=1)(conclude)
