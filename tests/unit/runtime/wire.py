"""A server on loopback in a thread, and clients that send it bytes."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_contract.limits import Limits
from breakwater_runtime.calls import Refused
from breakwater_runtime.http.answer_headers import AnswerHeaders
from breakwater_runtime.http.errors import Errors
from breakwater_runtime.http.limits import WireLimits
from breakwater_runtime.http.pipeline import Pipeline
from breakwater_runtime.http.port import Refusing
from breakwater_runtime.http.server import Server, listen
from tests.unit.runtime.fakes import FakeClock

BOUND_SECONDS = 20
"""How long anything may take on a busy machine; never what a test is about."""

HEAD = b"POST /x HTTP/1.1\r\nhost: x\r\n"
GET = b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n"


@dataclass
class Answered:
    """One answer as it stood on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client(socket.socket):
    """A connection that is closed at the end of its block."""

    def status(self) -> int:
        return answer(self).status

    def is_closed(self) -> bool:
        """Wait until the server closes; what it sends before that does not matter."""
        try:
            while self.recv(65536):
                pass
        except ConnectionError:
            pass
        return True


def connect(port: int, *, receive_buffer: int | None = None, source: str | None = None) -> Client:
    client = Client()
    if source is not None:
        client.bind((source, 0))
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(BOUND_SECONDS)
    client.connect(("127.0.0.1", port))
    return client


def answer(client: socket.socket) -> Answered:
    """Read one answer, with a Content-Length, with chunks or up to the end."""
    with client.makefile("rb") as file:
        line = file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        headers = {}
        while (header := file.readline().strip()) != b"":
            name, _, value = header.decode().partition(": ")
            headers[name] = value
        status = int(line.split()[1])
        if status == 100:
            return Answered(status, headers, b"")
        if "content-length" in headers:
            return Answered(status, headers, file.read(int(headers["content-length"])))
        if headers.get("transfer-encoding") == "chunked":
            return Answered(status, headers, _chunks(cast("BinaryIO", file)))
        return Answered(status, headers, file.read())


def _chunks(file: BinaryIO) -> bytes:
    body = b""
    while size := int(file.readline(), 16):
        body += file.read(size)
        file.readline()
    assert file.readline() == b"\r\n"
    return body


def ask(port: int, request: bytes, source: str | None = None) -> Answered:
    """Send one request over a connection of its own."""
    with connect(port, source=source) as client:
        client.sendall(request)
        return answer(client)


@dataclass
class Serving:
    """A server that runs."""

    port: int
    server: Server
    loop: asyncio.AbstractEventLoop
    cut: Counter[str] = field(default_factory=Counter)

    def stop(self, within_seconds: float = BOUND_SECONDS) -> None:
        def stop() -> None:
            self.server.stop(within_seconds=within_seconds)

        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self.loop.call_soon_threadsafe(stop)

    def drain(self) -> None:
        self.loop.call_soon_threadsafe(self.server.drain)
        self.until(lambda: self.server.port.draining)

    @property
    def connections(self) -> int:
        return len(self.server.port.connections)

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + BOUND_SECONDS
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.005)


@contextlib.contextmanager
def serving(
    app: ASGIApp,
    limits: Limits | None = None,
    *,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    handshake_seconds: float = BOUND_SECONDS,
    trusts: Callable[[str], bool] = lambda _: False,
    refusing: Refusing | None = None,
) -> Iterator[Serving]:
    """Serve `app`, as the runtime does, until the end of the block."""
    wire = WireLimits.of(limits or Limits(), trusts)
    listener = listen(host, 0, "listen.publicPort")
    started, running = threading.Event(), []

    async def serve() -> None:
        cut: Counter[str] = Counter()
        server = Server(
            app,
            refusing or refuses,
            listener,
            limits=lambda: wire,
            wall=time.time,
            count_cut=lambda reason: cut.update([reason]),
            tls=tls,
            handshake_seconds=handshake_seconds,
            tick_seconds=0.02,
        )
        serving = asyncio.create_task(server.run_until_stopped())
        port = listener.getsockname()[1]
        running.append(Serving(port, server, asyncio.get_running_loop(), cut))
        asyncio.get_running_loop().call_later(0.05, started.set)
        await serving

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(BOUND_SECONDS)
    try:
        yield running[0]
    finally:
        running[0].stop(within_seconds=0)
        thread.join(BOUND_SECONDS)
        assert not thread.is_alive()


def refuses(refusal: Refused, *, is_known: bool = False) -> ASGIApp:
    """Answer what never becomes a request, as the app's own steps would."""

    async def refuse(*_: object) -> None:
        raise refusal

    return answered_as_by_the_runtime(refuse)


def answered_as_by_the_runtime(app: ASGIApp) -> ASGIApp:
    """Put around an app what every answer of the runtime gets."""
    return Pipeline(
        [],
        app,
        headers=AnswerHeaders(),
        errors=Errors(json_rpc={"/mcp"}, now=FakeClock().now),
        new_id=lambda: "made",
    )


async def read_body(receive: Receive) -> bytes | None:
    """Read a request's body; None: the client left."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += bytes(message["body"])
        if not message["more_body"]:
            return body


async def reply(send: Send, body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    """Answer at once."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body of the request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        if body is not None:
            await reply(send, body)

    await answered_as_by_the_runtime(app)(scope, receive, send)
