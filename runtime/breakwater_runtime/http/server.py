"""The HTTP server: uvicorn with httptools, without its signals, environment and extras."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from breakwater_runtime.calls import StartError

KEEP_ALIVE_SECONDS = 620
"""How long an idle connection is kept: longer than the load balancers in front keep theirs (600 s),
or they would send requests into connections that we are closing."""

BACKLOG = 2048


class HttpProtocol(HttpToolsProtocol):
    """Reads header values as RFC 9110 says: white space around them is not part of them."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header over."""
        super().on_header(name, value.strip(b" \t"))


class Server(uvicorn.Server):
    """Serves one ASGI app on one socket until told to stop."""

    def __init__(self, app: ASGIApp, listener: socket.socket, *, connections_max: int) -> None:
        """Serve on `listener`; beyond `connections_max` the answer is 503."""
        # What is passed here explicitly would come from the environment otherwise.
        super().__init__(
            uvicorn.Config(
                app,
                http=HttpProtocol,
                ws="none",
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
                workers=1,
                proxy_headers=False,
                forwarded_allow_ips=[],
                server_header=False,
                backlog=BACKLOG,
                limit_concurrency=connections_max,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        self._listener = listener
        self._stopping = asyncio.Event()

    async def run_until_stopped(self) -> None:
        """Serve; return when every connection has ended after `stop`."""
        await self.serve(sockets=[self._listener])

    def stop(self, *, within_seconds: int) -> None:
        """Take no more connections, and cancel what has not ended in time."""
        self.config.timeout_graceful_shutdown = within_seconds
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Renew the Date header every second, in place of uvicorn's ten looks a second."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the process decides when to stop."""
        yield


def listen(host: str, port: int, where: str) -> socket.socket:
    """Bind a socket; connections are refused until a server serves it.

    Raises:
        StartError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartError(f"{where}: {host} port {port}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener
