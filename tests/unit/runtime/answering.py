"""An HTTP server that answers every POST with bytes that a test chooses."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

Respond = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    """A request."""

    verb: str
    headers: dict[str, str]
    message: Any

    @property
    def id(self) -> Any:
        return self.message.get("id")

    @property
    def method(self) -> str:
        return str(self.message.get("method", ""))


class Answering:
    """A server that runs."""

    def __init__(
        self, respond: Respond, get: Respond | None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._tls = tls
        self.port = 0
        self.asked: list[Asked] = []
        self.connections = 0
        self._respond = respond
        self._get = get
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def of(self, method: str) -> list[Asked]:
        """Get what was asked by one method."""
        return [each for each in self.asked if each.message and each.method == method]

    async def start(self, host: str, port: int = 0) -> None:
        """Listen at a port; 0: at any."""
        self._server = await asyncio.start_server(self._accept, host, port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no longer, and close every connection."""
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(0.01)  # in which the last connections are accepted
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:  # those of connections that were just accepted, too
            writer.close()
        closed = (writer.wait_closed() for writer in self._writers)
        await asyncio.gather(*self._tasks, *closed, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        self._writers.add(writer)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (asked := await read(reader)) is not None:
                self.asked.append(asked)
                await self._answer(asked, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.verb == "GET" and self._get is not None:
            await self._get(asked, writer)
        elif asked.verb != "POST":
            await send(writer, 405)
        elif asked.message.get("id") is None:
            await send(writer, 202)
        else:
            await self._respond(asked, writer)


@asynccontextmanager
async def answering(
    respond: Respond,
    host: str = "127.0.0.1",
    get: Respond | None = None,
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> AsyncIterator[Answering]:
    """Serve requests by `respond`; notifications are taken, other verbs refused or `get`'s."""
    server = Answering(respond, get, tls)
    await server.start(host, port)
    try:
        yield server
    finally:
        await server.stop()


async def read(reader: asyncio.StreamReader) -> Asked | None:
    """Read a request; None: there is none any more."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(head[0].split()[0], headers, orjson.loads(body) if body else None)


async def send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes = b"",
    kind: str = "application/json",
    **headers: str,
) -> None:
    """Write an answer."""
    lines = [f"HTTP/1.1 {status} Something", f"content-type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    await writer.drain()


async def stream(writer: asyncio.StreamWriter, *events: bytes) -> None:
    """Write a stream of events, and end it."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
    writer.write(b"transfer-encoding: chunked\r\n\r\n")
    for event in events:
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def result(asked: Asked, content: Any) -> bytes:
    """Make the answer to a request."""
    return orjson.dumps({"jsonrpc": "2.0", "id": asked.id, "result": content})


def error(asked: Asked, code: int = -32601) -> bytes:
    """Make an answer without a result."""
    said = {"code": code, "message": "no"}
    return orjson.dumps({"jsonrpc": "2.0", "id": asked.id, "error": said})


LISTED = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
ECHOED = {"content": [{"type": "text", "text": "hello"}]}


def older(call: Respond, session: str = "s1") -> Respond:
    """Greet clients of the older era, and have `call` answer calls of tools."""

    async def respond(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "initialize":
            about = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "older", "version": "1"},
            }
            await send(writer, 200, result(asked, about), mcp_session_id=session)
        elif asked.method == "tools/list":
            await send(writer, 200, result(asked, LISTED))
        elif asked.method == "tools/call":
            await call(asked, writer)
        else:
            await send(writer, 400, error(asked))

    return respond


async def echo(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer a call."""
    await send(writer, 200, result(asked, ECHOED))
