"""A server in another container that speaks HTTP on the pod's loopback address."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_contract.backends import Http, Reason
from breakwater_runtime.backends.backend import Finding
from breakwater_runtime.backends.codec.http.connection import Connection
from breakwater_runtime.backends.codec.http.connections import Connections
from breakwater_runtime.backends.codec.http.requests import Endpoint
from breakwater_runtime.backends.codec.http.session import HttpSession
from breakwater_runtime.backends.codec.instance import Sinks
from breakwater_runtime.backends.container.command import Command
from breakwater_runtime.backends.container.http_sessions import HttpSessions
from breakwater_runtime.backends.container.listening import Listener, exposed, listeners
from breakwater_runtime.resilience.answer_room import AnswerRoom

logger = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "::1")
"""Where the server may listen; `localhost` means either, depending on its language."""

CONNECTIONS_MAX = 256

CHECK_SECONDS = 1.0
"""How often the pod's listening sockets are looked at: whether the server's is there, and whether
others reach one. It costs a tenth of a millisecond."""

START_SECONDS = 0.2
"""How often while it does not listen."""


@dataclass(frozen=True, slots=True)
class Pod:
    """What may be open to others where the runtime runs."""

    ports: Collection[int] = ()
    """Its own ports."""
    is_ours: bool = False
    """Whether every socket here is of this server, as in a pod."""


class HttpTransport(HttpSessions[HttpSession]):
    """Asks it over pooled connections."""

    def __init__(
        self,
        backend: str,
        settings: Settings,
        http: Http,
        pod: Pod,
        room: AnswerRoom,
        command: Command | None = None,
    ) -> None:
        """Ask the server at a port; `command` starts it, where that is not left to others."""
        super().__init__(Connections(self._dial, CONNECTIONS_MAX), settings.start)
        self._backend = backend
        self._settings = settings
        self._http = http
        self._pod = pod
        self._command = command
        self._endpoint = Endpoint(
            f"127.0.0.1:{http.port}", http.path, self.connections, room, param_headers=self.params
        )
        self._hosts: Sequence[str] = LOOPBACK
        self._listening = asyncio.Event()
        self._exposed: Finding | None = None
        self._may_start = True

    # Whether it is there, and for whom

    async def run(self) -> None:
        """Watch whether it listens, and where."""
        if self._command is None:
            await self._watch()
            return
        async with asyncio.TaskGroup() as together:
            together.create_task(self._command.run(self._is_gone))
            together.create_task(self._watch())

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        starting = loop.call_later(self._settings.start.seconds, self._has_started)
        while True:
            await self._check()
            if self._listening.is_set():
                starting.cancel()
                self._has_started()
            await asyncio.sleep(CHECK_SECONDS if self._listening.is_set() else START_SECONDS)

    def _has_started(self) -> None:
        self._may_start = False

    async def _check(self) -> None:
        found = await asyncio.to_thread(lambda: tuple(listeners()))
        if not any(listener.port == self._http.port for listener in found):
            self._is_gone()
            return
        finding = self._exposure(found)
        if finding is not None and self._exposed is None:
            logger.error("a port of the pod is open to others", extra={"backend": self._backend})
        self._exposed = finding
        self._listening.set()

    def _is_gone(self) -> None:
        self._listening.clear()
        for session in tuple(self.sessions):
            session.end("nobody listens at its port any more")

    def _exposure(self, found: Iterable[Listener]) -> Finding | None:
        """Find a socket that others reach past the runtime."""
        http = self._http
        if http.allow_access_that_bypasses_the_runtime:
            return None
        ports = None if self._pod.is_ours else (http.port,)
        listener = exposed(found, ports, (*self._pod.ports, *http.known_listeners))
        if listener is None:
            return None
        return Finding(Reason.EXPOSED, _exposed(str(listener), listener.port == http.port))

    async def _dial(self, protocol: Callable[[], Connection]) -> Connection:
        loop = asyncio.get_running_loop()
        for host in self._hosts:
            with suppress(OSError):
                _, connection = await loop.create_connection(protocol, host, self._http.port)
                if host != self._hosts[0]:
                    self._hosts = (host, *(each for each in self._hosts if each != host))
                return connection
        raise ConnectionRefusedError

    async def reachable(self) -> None:
        """Wait until it listens."""
        await self._listening.wait()

    @property
    def findings(self) -> Sequence[Finding]:
        """Say where it does not listen, and where it should not."""
        if not self._listening.is_set():
            if self._command is not None and (known := self._command.finding) is not None:
                return (known,)
            said = f"nobody listens at port {self._http.port} of the pod's loopback address"
            return (Finding(Reason.STARTING if self._may_start else Reason.UNREACHABLE, said),)
        return (self._exposed,) if self._exposed is not None else ()

    def session(self, sinks: Sinks) -> HttpSession:
        """Make a session with it."""
        return HttpSession(
            self._backend,
            self._endpoint,
            sinks,
            message_bytes=self._settings.message.bytes,
            timeout_seconds=self._settings.call.seconds,
        )


def _exposed(where: str, is_backends: bool) -> str:
    if not is_backends:
        return (
            f"a socket listens at {where}, which other pods reach past the runtime; have it listen "
            "at 127.0.0.1, or write the port into knownListeners where it belongs to a service mesh"
        )
    return (
        f"the server listens at {where}, which other pods reach past the runtime; have it listen "
        "at 127.0.0.1 (servers are usually told by --host, HOST or MCP_HOST), or accept that by "
        "allowAccessThatBypassesTheRuntime"
    )
