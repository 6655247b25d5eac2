"""What all connections of one port share."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Protocol

from starlette.types import ASGIApp

from breakwater_runtime.calls import Refused
from breakwater_runtime.http.body_turns import BodyTurns
from breakwater_runtime.http.limits import WireLimits

if TYPE_CHECKING:
    from breakwater_runtime.http.connection import Connection
    from breakwater_runtime.http.exchange import Exchange


class Refusing(Protocol):
    """Makes the app that answers in place of the one behind the port."""

    def __call__(self, refusal: Refused, *, is_known: bool = False) -> ASGIApp:
        """Answer with a refusal; `is_known`: the app had the request, and has counted it."""


CountCut = Callable[[str], None]
"""Counts what was ended before its time, by one of the catalogue's reasons."""

SPARE_CONNECTIONS = 128
"""Connections beyond the limit that are still told so; more are closed without a word."""


class Port:
    """The app behind a port, its limits, and the connections of the moment."""

    def __init__(
        self,
        app: ASGIApp,
        refusing: Refusing,
        *,
        limits: Callable[[], WireLimits],
        count_cut: CountCut,
    ) -> None:
        """Serve `app` within `limits`; count by `count_cut` what ended before its time."""
        self.loop = asyncio.get_running_loop()
        self.app = app
        self.refusing = refusing
        self.limits = limits
        self.count_cut = count_cut
        self.draining = False
        self.body_turns = BodyTurns()
        self.connections: set[Connection] = set()
        self.tasks: dict[Exchange, asyncio.Task[None]] = {}
        self._of_network: Counter[str] = Counter()
        self.date = b""
        self._quiet: asyncio.Event | None = None

    def start(self, exchange: "Exchange", work: Coroutine[Any, Any, None]) -> None:
        """Begin to answer a request; what does it says at its end that it has `answered`."""
        self.tasks[exchange] = self.loop.create_task(work)

    def answered(self, exchange: "Exchange") -> None:
        """Forget a request."""
        self.tasks.pop(exchange, None)
        if self._quiet is not None:
            self._look_whether_quiet()

    def opened(self, connection: "Connection") -> None:
        """Remember a connection."""
        self.connections.add(connection)
        self._of_network[connection.network] += 1

    def excess(self, connection: "Connection", limits: WireLimits) -> int:
        """Say how many connections there are beyond those that may be, as far as one is of them."""
        excess = len(self.connections) - limits.connections
        of_network = self._of_network[connection.network] - limits.address_connections
        if of_network <= excess or not connection.network:
            return excess
        # Who stands behind a trusted proxy shares an address with others, and is not to blame.
        return excess if limits.trusts(connection.address) else of_network

    def closed(self, connection: "Connection") -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        self._of_network[connection.network] -= 1
        if not self._of_network[connection.network]:
            del self._of_network[connection.network]
        self._look_whether_quiet()

    def _look_whether_quiet(self) -> None:
        if self._quiet is not None and not self.connections and not self.tasks:
            self._quiet.set()

    def forget_tasks(self) -> None:
        """Wait no more for those that are left."""
        self.tasks.clear()

    async def quiet(self) -> None:
        """Wait until no connection is open and nothing is being answered."""
        self._quiet = asyncio.Event()
        self._look_whether_quiet()
        await self._quiet.wait()

    def tick(self, wall_seconds: float) -> None:
        """Once a second: renew the Date header, and end what has used up its time.

        One look at every connection is cheaper than a timer for each request.
        """
        self.date = b"date: " + formatdate(wall_seconds, usegmt=True).encode() + b"\r\n"
        now = self.loop.time()
        late = [c for c in self.connections if c.deadline <= now or c.write_deadline <= now]
        for connection in late:
            connection.time_is_up(now)
