"""Idle streams: many clients listen, nothing happens."""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.wires import MCP_PATH, META, modern_headers
from bench.wrk import LoadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.peers import Peer
    from bench.processes import Server

METHOD = "subscriptions/listen"
FIRST_EVENT = b"notifications/subscriptions/acknowledged"
WARM_UP_STREAMS = 20
"""Opened before memory is read for the first time: the first streams import and cache things."""

OPEN_AT_ONCE = 50
ANSWER_SECONDS = 10.0
SETTLE_SECONDS = 1.0
FILES_SPARE = 256

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Idle:
    """What idle streams cost."""

    streams: int
    kilobytes_each: float
    cpu_percent: float
    """Of one core, all streams together and the process's own idle work too."""


def allow_files(streams: int) -> None:
    """Let this process and the servers it starts have enough open connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = streams + FILES_SPARE
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))


def measure(peer: Peer, server: Server, *, streams: int, seconds: float) -> Idle:
    """Open streams, and watch the server while nothing happens.

    Raises:
        LoadError: A stream did not begin as it has to.
    """
    return asyncio.run(_measure(peer, server, streams, seconds))


async def _measure(peer: Peer, server: Server, streams: int, seconds: float) -> Idle:
    opened: list[Stream] = []
    try:
        opened += await _open(peer, WARM_UP_STREAMS)
        await asyncio.sleep(SETTLE_SECONDS)
        before = server.rss_bytes()
        opened += await _open(peer, streams)
        await asyncio.sleep(SETTLE_SECONDS)
        grown = server.rss_bytes() - before
        cpu_before = server.cpu_seconds()
        await asyncio.sleep(seconds)
        cpu = server.cpu_seconds() - cpu_before
    finally:
        for _, writer in opened:
            writer.close()
    return Idle(streams, grown / 1024 / streams, cpu / seconds * 100)


async def _open(peer: Peer, count: int) -> Sequence[Stream]:
    opened: list[Stream] = []
    for start in range(0, count, OPEN_AT_ONCE):
        numbers = range(start, min(start + OPEN_AT_ONCE, count))
        opened += await asyncio.gather(*(_listen(peer, number) for number in numbers))
    return opened


async def _listen(peer: Peer, number: int) -> Stream:
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port, ssl=_tls(peer))
    writer.write(_request(peer, number))
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise LoadError(f"{peer.name}: no stream: {head.decode()}")
            await reader.readuntil(FIRST_EVENT)
    except (TimeoutError, asyncio.IncompleteReadError) as error:
        raise LoadError(f"{peer.name}: no first event in {ANSWER_SECONDS:.0f} s") from error
    return reader, writer


def _tls(peer: Peer) -> ssl.SSLContext | None:
    if peer.certificate is None:
        return None
    context = ssl.create_default_context(cafile=str(peer.certificate))
    context.check_hostname = False  # it is for localhost, and we come by the address
    return context


def _request(peer: Peer, number: int) -> bytes:
    params = {"notifications": {"toolsListChanged": True}, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": METHOD, "params": params})
    headers = {
        "Host": f"127.0.0.1:{peer.port}",
        **modern_headers(METHOD, peer.headers),
        "Content-Length": str(len(body)),
    }
    lines = [f"POST {MCP_PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
