"""The way to a remote server: TLS, allowed addresses, pooled connections, and a breaker."""

import asyncio
import ssl
import urllib.parse
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from breakwater_contract.backends import Reason
from breakwater_contract.remote import RemoteBackend as Settings
from breakwater_runtime.backends.backend import Finding
from breakwater_runtime.backends.codec.greeting import DISCOVER, envelope
from breakwater_runtime.backends.codec.http.connection import Connection
from breakwater_runtime.backends.codec.http.connections import Connections
from breakwater_runtime.backends.codec.http.requests import Credentials, Endpoint
from breakwater_runtime.backends.codec.http.session import HttpSession
from breakwater_runtime.backends.codec.instance import Sinks, unavailable
from breakwater_runtime.backends.codec.messages import Result
from breakwater_runtime.backends.container.http_sessions import HttpSessions
from breakwater_runtime.backends.remote.addresses import Addresses, ForbiddenError
from breakwater_runtime.calls import Call, Problem, RpcError
from breakwater_runtime.resilience.answer_room import AnswerRoom
from breakwater_runtime.resilience.breaker import Breaker

LOOK_SECONDS = 0.5
"""How often it is looked whether the server should be asked how it is."""

QUIET_SECONDS = 15.0
"""After which a server that nobody asked anything is asked whether it is there."""

PROBE_SECONDS = 5.0
"""How long it may take to say so."""

PORTS = {"https": 443, "http": 80}

FAILURES = frozenset({Problem.SERVER_UNAVAILABLE.name, Problem.TIMEOUT.name})


class RemoteSession(HttpSession):
    """A server behind a breaker."""

    def __init__(self, breaker: Breaker, backend: str, *args: Any, **more: Any) -> None:
        """Ask as `HttpSession` does, while the breaker admits it."""
        super().__init__(backend, *args, **more)
        self._breaker = breaker

    async def request(
        self, method: str, params: dict[str, Any] | None, call: Call | None = None
    ) -> Result:
        """Ask the server, unless it is left alone.

        Raises:
            RpcError: There is no result.
        """
        breaker = self._breaker
        if not breaker.admits():
            said = f"Backend {self._backend} failed again and again, and is left alone for now."
            raise unavailable(self._backend, said, retryable=True)
        try:
            result = await super().request(method, params, call)
        except RpcError as error:
            if self.lost is None:  # a session that it forgot is no failure
                (breaker.failed if _failed(error) else breaker.succeeded)()
            raise
        breaker.succeeded()
        return result

    async def probe(self) -> None:
        """Ask it whether it is there; the breaker learns what comes of it."""
        probe = (DISCOVER, {"_meta": envelope({})}) if self.about.modern else ("ping", None)
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self.request(*probe)
        except TimeoutError:
            self._breaker.failed()
        except RpcError:
            return


class RemoteTransport(HttpSessions[RemoteSession]):
    """Opens sessions with a remote server."""

    def __init__(
        self,
        backend: str,
        settings: Settings,
        trust: ssl.SSLContext | None,
        credentials: Credentials | None,
        room: AnswerRoom,
    ) -> None:
        """Ask the server at a URL.

        Args:
            backend: What it is called.
            settings: Where it is.
            trust: Who vouches for it; None: it is asked without TLS.
            credentials: What it is told about who asks.
            room: Where its large answers find room.
        """
        super().__init__(Connections(self._dial, settings.connections), settings.start)
        url = urllib.parse.urlsplit(settings.url)
        self._backend = backend
        self._settings = settings
        self._trust = trust
        self._host = url.hostname or ""
        self._port = url.port or PORTS[url.scheme]
        self._addresses = Addresses(settings.addresses)
        self._endpoint = Endpoint(
            url.netloc, url.path or "/", self.connections, room, credentials, self.params
        )
        self._breaker: Breaker | None = None
        self._forbidden: str | None = None

    @property
    def breaker(self) -> Breaker:
        """What keeps requests from a server that fails."""
        if self._breaker is None:
            said = self._settings.breaker
            clock = asyncio.get_running_loop().time
            self._breaker = Breaker(said.failures, said.open.seconds, clock)
        return self._breaker

    async def run(self) -> None:
        """Ask the server how it is, where nobody else does, and where it is left alone."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            session = next((each for each in self.sessions if each.lost is None), None)
            if session is not None and self._is_due():
                await session.probe()

    def _is_due(self) -> bool:
        breaker = self.breaker
        if breaker.is_open:
            return breaker.wait_seconds == 0
        return asyncio.get_running_loop().time() - breaker.last_heard > QUIET_SECONDS

    @property
    def findings(self) -> Sequence[Finding]:
        """Say that it is left alone, or may not be asked."""
        if self._forbidden is not None:
            return (Finding(Reason.UNREACHABLE, self._forbidden),)
        if self._breaker is not None and self._breaker.is_open:
            said = f"{self._host} failed {self._settings.breaker.failures} times and is left alone"
            return (Finding(Reason.UNREACHABLE, said),)
        return ()

    async def _dial(self, protocol: Callable[[], Connection]) -> Connection:
        """Connect to the first address that may be asked and answers.

        Raises:
            OSError: There is none.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.connect.seconds):
                for address in await self._permitted():
                    with suppress(OSError):
                        _, connection = await loop.create_connection(
                            protocol,
                            address,
                            self._port,
                            ssl=self._trust,
                            server_hostname=self._host if self._trust is not None else None,
                        )
                        return connection
        except TimeoutError as error:
            raise ConnectionRefusedError from error
        raise ConnectionRefusedError

    async def _permitted(self) -> Sequence[str]:
        try:
            found = await self._addresses.resolve(self._host, self._port)
        except ForbiddenError as error:
            self._forbidden = str(error)
            raise
        self._forbidden = None
        return found

    def session(self, sinks: Sinks) -> RemoteSession:
        """Make a session with it."""
        return RemoteSession(
            self.breaker,
            self._backend,
            self._endpoint,
            sinks,
            message_bytes=self._settings.message.bytes,
            timeout_seconds=self._settings.call.seconds,
        )


def _failed(error: RpcError) -> bool:
    """Say whether an error means that the server did not answer."""
    return isinstance(error.data, dict) and error.data.get("code") in FAILURES
