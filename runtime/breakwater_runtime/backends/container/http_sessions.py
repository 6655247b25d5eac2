"""Sessions over HTTP with one server, whichever way leads to it."""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from breakwater_contract.units import Duration
from breakwater_runtime.backends.backend import PoolUse
from breakwater_runtime.backends.codec import param_headers
from breakwater_runtime.backends.codec.greeting import GreetingError, greet
from breakwater_runtime.backends.codec.http.connections import Connections
from breakwater_runtime.backends.codec.http.session import HttpSession
from breakwater_runtime.backends.codec.instance import Instance, Sinks
from breakwater_runtime.backends.container.transport import OpeningError, Transport
from breakwater_runtime.calls import RpcError

Session = TypeVar("Session", bound=HttpSession)


class HttpSessions(Transport, Generic[Session]):
    """Opens sessions, and knows those that are open."""

    def __init__(self, connections: Connections, start: Duration) -> None:
        """Ask over `connections`; a session may take as long as `start` to answer first."""
        self.connections = connections
        self.sessions: WeakSet[Session] = WeakSet()
        self._start = start
        self._declared: Mapping[str, Mapping[tuple[str, ...], str]] = {}

    @abstractmethod
    def session(self, sinks: Sinks) -> Session:
        """Make a session that was not greeted yet."""

    async def stop(self) -> None:
        """Wait until the server knows that its sessions have ended."""
        await asyncio.gather(*(session.closed() for session in tuple(self.sessions)))
        self.connections.close()
        await asyncio.sleep(0)  # in which the loop closes the sockets

    @property
    def pools(self) -> Mapping[str, PoolUse]:
        """How many connections there are."""
        each = self.connections
        return {"connections": PoolUse(each.used, each.open, each.limit, each.waiting)}

    def describe(self, tools: Mapping[str, Mapping[str, Any]]) -> None:
        """Know which arguments of tools are repeated in headers."""
        declared = {name: param_headers.declared(tool) for name, tool in tools.items()}
        self._declared = {name: headers for name, headers in declared.items() if headers}

    def params(self, tool: str, arguments: Mapping[str, Any]) -> Mapping[str, str]:
        """Repeat those arguments as headers that the tool wants so."""
        declared = self._declared.get(tool)
        return param_headers.repeated(declared, arguments) if declared else {}

    async def open(
        self, sinks: Sinks, *, modern: bool | None, initialize: Mapping[str, Any]
    ) -> Instance:
        """Greet it; in the older era that begins a session.

        Raises:
            OpeningError: It cannot be reached, or says nothing in time.
            GreetingError: It does not speak MCP in this era.
        """
        session = self.session(sinks)
        try:
            async with asyncio.timeout(self._start.seconds):
                session.about = await greet(
                    session.request, session.notify, modern=modern, initialize=initialize
                )
        except TimeoutError as error:
            session.close()
            raise OpeningError(f"it said nothing in {self._start}") from error
        except RpcError as error:
            session.close()
            raise OpeningError(error.message) from error
        except (GreetingError, asyncio.CancelledError):
            session.close()
            raise
        self.sessions.add(session)
        session.listen()
        return session
