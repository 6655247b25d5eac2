"""A loopback proxy that puts a key into each request, and else changes only what it is told to.

Some clients, the conformance suite among them, have no way to send a header. Others, browsers
among them, must get their page from the origin that they call. Both go through here.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

HEAD_BYTES_MAX = 64 * 1024
_END = b"\r\n\r\n"


@dataclass(frozen=True)
class KeyProxy:
    """Where a proxy leads, and what it adds.

    Args:
        host: The upstream's address.
        port: The upstream's port.
        key: Sent as `X-API-Key` with every request; without one, nothing is added.
        removed: Names of headers that are taken away, in lower case.
        pages: Documents by path that the proxy answers itself, as HTML.
        own_port: Where the proxy listens on the loopback address; 0 means a free port.
    """

    host: str
    port: int
    key: str | None = None
    removed: frozenset[str] = frozenset()
    pages: Mapping[str, bytes] | None = None
    own_port: int = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on the loopback address, and say the origin to call."""
        connections: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            task.add_done_callback(connections.discard)
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await self._connection(reader, writer)
            writer.close()

        server = await asyncio.start_server(
            accept, "127.0.0.1", self.own_port, limit=HEAD_BYTES_MAX
        )
        try:
            # The suite wants a name: a server that checks Host must know localhost.
            yield f"http://localhost:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(_END)
        except asyncio.IncompleteReadError:
            return
        page = (self.pages or {}).get(head.split(b" ", 2)[1].decode())
        if page is not None:
            writer.write(_document(page))
            await writer.drain()
            return
        upstream_reader, upstream = await asyncio.open_connection(self.host, self.port)
        try:
            upstream.write(self._changed(head))
            await _until_one_ends(_copy(reader, upstream), _copy(upstream_reader, writer))
        finally:
            upstream.close()

    def _changed(self, head: bytes) -> bytes:
        """Add the key, and ask for the connection to end with the answer.

        So each connection carries one request, and all that follows its head can be passed on as
        it is, however it is framed.
        """
        request, *headers = head.removesuffix(_END).split(b"\r\n")
        removed = self.removed | {"connection"}
        kept = [each for each in headers if _name(each) not in removed]
        added = [b"Connection: close"]
        if self.key is not None:
            added.append(b"X-API-Key: " + self.key.encode())
        return b"\r\n".join([request, *kept, *added]) + _END


def _name(header: bytes) -> str:
    return header.partition(b":")[0].decode("latin-1").lower()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(HEAD_BYTES_MAX):
        writer.write(data)
        await writer.drain()


async def _until_one_ends(*directions: Coroutine[Any, Any, None]) -> None:
    """Stop both directions when one ends: an answer is over, or the caller has gone."""
    tasks = [asyncio.create_task(direction) for direction in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _document(page: bytes) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(page)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + page
