"""Connections that send bytes and read whole answers, many of them in one loop."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.rig.target import BOUND_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT_BYTES = 64 * 1024 * 1024
ADDRESSES = 250


class GoneError(Exception):
    """The server ended the connection before the answer was whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """Get a header by its name in small letters."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == name.encode():
                return value.strip().decode("latin-1")
        return None


class Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes, sometime."""
        self.writer.write(data)

    async def head(self) -> tuple[int, bytes]:
        """Read the head of an answer, past those that only say to go on.

        Raises:
            GoneError: It never came.
        """
        status = 100
        while status == 100:
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise GoneError from error
            status = int(head.split(b" ", 2)[1])
        return status, head

    async def answer(self) -> Answer:
        """Read a whole answer.

        Raises:
            GoneError: It did not come to its end.
        """
        async with asyncio.timeout(BOUND_SECONDS):
            status, head = await self.head()
            answer = Answer(status, head, b"")
            try:
                return Answer(status, head, await self._body(answer))
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise GoneError from error

    async def _body(self, answer: Answer) -> bytes:
        if answer.header("transfer-encoding") == "chunked":
            return b"".join([part async for part in self.chunks()])
        length = answer.header("content-length")
        if length is not None:
            return await self.reader.readexactly(int(length))
        return b"" if answer.status in {202, 204, 304} else await self.reader.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read the chunks of a body up to its end."""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)

    async def ask(self, data: bytes) -> Answer:
        """Send a request and read its answer."""
        self.send(data)
        return await self.answer()

    def close(self) -> None:
        """End the connection, well."""
        with contextlib.suppress(OSError, RuntimeError):
            self.writer.close()

    def reset(self) -> None:
        """End the connection as a client that crashed does."""
        with contextlib.suppress(OSError):
            raw = self.writer.get_extra_info("socket")
            if raw is not None:  # it has not ended by itself
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def dial(port: int, *, source: str | None = None, buffer: int | None = None) -> Line:
    """Connect, from an address of one's own where one is said.

    Args:
        port: Where the server listens on loopback.
        source: The client's address.
        buffer: How much the kernel may keep of an answer that is not read.
    """
    raw = socket.socket()
    raw.setblocking(False)
    if buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    if source is not None:
        raw.bind((source, 0))
    async with asyncio.timeout(BOUND_SECONDS):
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    limit = LIMIT_BYTES if buffer is None else buffer
    return Line(*await asyncio.open_connection(sock=raw, limit=limit))


def sources() -> itertools.cycle[str]:
    """Name many addresses of this machine."""
    return itertools.cycle(f"127.0.1.{number}" for number in range(1, ADDRESSES))
