"""A client of few words: one connection for each request, and every byte of the answer is seen."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any


@dataclass
class Answer:
    """The head of an answer, and the way to its body."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ended_well: bool = False
    """Whether the body came to the end that its framing announces."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Get the body part by part; a connection that breaks ends it, and not well."""
        try:
            if "content-length" in self.headers:
                body = await self.reader.readexactly(int(self.headers["content-length"]))
                self.ended_well = True
                yield body
                return
            while True:
                size = int(await self.reader.readline() or b"x", 16)
                chunk = await self.reader.readexactly(size + 2)
                if not size:
                    self.ended_well = True
                    return
                yield chunk[:-2]
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return
        finally:
            self.writer.close()

    async def body(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def messages(self) -> list[dict[str, Any]]:
        """Get all messages of the body, be it JSON or events."""
        body = await self.body()
        if self.headers.get("content-type") == "application/json":
            return [json.loads(body)]
        lines = [line[6:] for line in body.splitlines() if line.startswith(b"data: {")]
        return [json.loads(line) for line in lines]


async def ask(port: int, method: str, headers: dict[str, str], content: object = None) -> Answer:
    """Send one request to `/mcp`; wait for the head of its answer."""
    body = b"" if content is None else json.dumps(content).encode()
    lines = {"host": "server", "content-length": str(len(body)), "connection": "close"} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} /mcp HTTP/1.1\r\n{head}\r\n".encode() + body)
    status = int((await reader.readline()).split()[1])
    found = {}
    while line := (await reader.readline()).strip():
        name, _, value = line.decode().partition(": ")
        found[name] = value
    return Answer(status, found, reader, writer)
