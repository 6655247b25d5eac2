"""The limits as connections look at them: plain numbers, worked out once."""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from breakwater_contract.limits import Limits

KEEP_ALIVE_SECONDS: Final = 620.0
"""How long an idle connection is kept: longer than the load balancers in front keep theirs (600 s),
or they would send requests into connections that we are closing."""

LINGER_SECONDS = 2.0
"""How long we listen to a client after the last answer that it gets. Closed at once, the connection
would be reset by what the client is still sending, and the answer lost on the way."""

CHUNK_OVERHEAD_BYTES = 64 * 1024
"""What the framing of a body may take beyond the body's own length."""


FILES_KEPT = 256
"""How many of the files that the process may open are not for connections of clients: they are for
backends, peers, settings, and the connections that are told that there are too many."""

NEAR = 0.8
"""From which share of a limit on somebody should look at it."""


def is_near(used: int, limit: int) -> bool:
    """Say whether so much is in use that it is worth an alert."""
    return used >= NEAR * limit


def raise_file_limit() -> None:
    """Let the process open as many files as it may: sessions begin with 1024 for old programs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def within_files(connections: int) -> int:
    """Say how many of the wanted connections there can be.

    A connection for which no file is left would be closed without a word; one beyond the limit is
    answered.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return connections
    return min(connections, max(1, files - FILES_KEPT))


@dataclass(frozen=True, slots=True)
class WireLimits:
    """What one connection may do."""

    head_bytes: int
    header_count: int
    url_bytes: int
    head_seconds: float
    body_seconds: float
    answer_seconds: float
    slowest_bytes: int
    """Bytes per second that prolong the time for bodies and answers."""
    connections: int
    address_connections: int
    """Connections from one address."""
    body_bytes: int
    response_bytes: int
    call_seconds: float
    heartbeat_seconds: float
    """How long a stream may be silent."""
    trusts: Callable[[str], bool] = lambda _: False
    """Says whether an address is a proxy's that many others stand behind."""

    @classmethod
    def of(cls, limits: Limits, trusts: Callable[[str], bool] = lambda _: False) -> "WireLimits":
        """Work them out, with what says which addresses are trusted proxies."""
        return cls(
            head_bytes=limits.headers.max.bytes,
            header_count=limits.headers.count,
            url_bytes=limits.headers.url.bytes,
            head_seconds=limits.timeouts.headers.seconds,
            body_seconds=limits.timeouts.body.seconds,
            answer_seconds=limits.timeouts.answer.seconds,
            slowest_bytes=max(1, limits.timeouts.slowest.bytes),
            connections=within_files(limits.connections),
            address_connections=limits.connections_per_address,
            body_bytes=limits.bodies.max.bytes,
            response_bytes=limits.responses.max.bytes,
            call_seconds=limits.timeouts.call.seconds,
            heartbeat_seconds=limits.timeouts.heartbeat.seconds,
            trusts=trusts,
        )
