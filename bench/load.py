"""One tool called over one wire on one server: what a call costs the server."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from bench import wires, wrk
from bench.wires import MODERN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers import Peer
    from bench.processes import Server

FIRST_ID = 10 ** (wrk.ID_DIGITS - 1)
FORMS = {"application/json": "JSON", "text/event-stream": "event stream"}
"""What answers are called, by their media type."""

IDS_PER_ROUND = 1_000_000
"""More than anything answers in a round; ids of different rounds must not meet in a session."""


@dataclass(frozen=True, eq=False)
class Case:
    """What is called, and how."""

    peer: Peer
    era: str
    tool: str
    requests: tuple[str, ...]
    wire: str
    """How the server answers, for readers."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one case."""

    per_cpu_second: float
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    rss_mb: float


class Rounds:
    """Puts on one round after the other, with ids that never come again."""

    def __init__(self) -> None:
        """Begin with the first id."""
        self._ids: Iterator[int] = count(FIRST_ID, IDS_PER_ROUND)

    def prepare(self, peer: Peer, era: str, tool: str) -> Case:
        """Get a case ready: open sessions where there are any, and see how the server answers.

        Raises:
            LoadError: The server does not take such calls.
        """
        make = wires.modern if era == MODERN else wires.older
        requests = make(peer, tool)
        kind = wires.answer_type(peer, requests[0], next(self._ids))
        answer = FORMS.get(kind, kind)
        sessions = "" if era == MODERN else ", sessions" if len(requests) > 1 else ", no sessions"
        return Case(peer, era, tool, requests, f"{era}{sessions}, {answer}")

    def run(self, case: Case, server: Server, *, connections: int, seconds: int) -> Sample:
        """Put load on, and see what it costs.

        Raises:
            LoadError: The server did not answer as it has to.
        """
        load = wrk.Load(
            case.peer.port,
            case.requests,
            connections,
            seconds,
            next(self._ids),
            case.peer.is_checked,
        )
        before = server.cpu_seconds()
        try:
            result = wrk.run(load)
        except wrk.LoadError as error:
            raise wrk.LoadError(f"{case.peer.name}, {case.wire}, {case.tool}: {error}") from error
        cpu = server.cpu_seconds() - before
        return Sample(
            per_cpu_second=result.requests / cpu,
            per_second=result.per_second,
            p50_ms=result.p50_ms,
            p95_ms=result.p95_ms,
            p99_ms=result.p99_ms,
            rss_mb=server.rss_bytes() / 1e6,
        )
