"""A steady load on many connections, each answer a stream: how late events are."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import wires
from bench.wrk import ID, ID_DIGITS, LoadError

if TYPE_CHECKING:
    from bench.peers import Peer

TOOL = "steps"
ANSWER_SECONDS = 30.0
CONNECT_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Sustained:
    """How a server bore it."""

    form: str
    """The media type of the answers."""
    connections: int
    per_second: float
    """Calls that were answered in a second."""
    first_p95_ms: float
    """Time from the request to its first event."""
    last_p95_ms: float
    """Time from the request to the end of its answer."""


@dataclass(slots=True)
class _Seen:
    first: list[float]
    last: list[float]


def measure(peer: Peer, *, connections: int, per_second: int, seconds: int) -> Sustained:
    """Have each connection call at its own steady pace; pace and not speed is what is put on.

    Raises:
        LoadError: A call was not answered as it has to be.
    """
    return asyncio.run(_measure(peer, connections, per_second, seconds))


async def _measure(peer: Peer, connections: int, per_second: int, seconds: int) -> Sustained:
    (template,) = wires.modern(peer, TOOL, progressToken="p")
    seen = _Seen([], [])
    pause = connections / per_second
    opened = []
    for start in range(0, connections, CONNECT_AT_ONCE):
        count = min(CONNECT_AT_ONCE, connections - start)
        some = (asyncio.open_connection("127.0.0.1", peer.port) for _ in range(count))
        opened += await asyncio.gather(*some)
    begin = time.perf_counter() + 0.5
    try:
        async with asyncio.timeout(seconds + ANSWER_SECONDS):
            await asyncio.gather(
                *(
                    _client(
                        reader,
                        writer,
                        template.replace(ID, str(10 ** (ID_DIGITS - 1) + number)).encode(),
                        seen,
                        # Spread over the pause, so that they do not all ask at once.
                        [
                            begin + pause * (turn + number / connections)
                            for turn in _turns(seconds, pause)
                        ],
                    )
                    for number, (reader, writer) in enumerate(opened)
                )
            )
    except (TimeoutError, asyncio.IncompleteReadError, OSError) as error:
        raise LoadError(f"{peer.name}, {TOOL}: a stream broke off or did not end") from error
    finally:
        for _, writer in opened:
            writer.close()
    taken = time.perf_counter() - begin
    return Sustained(
        "text/event-stream",
        connections,
        len(seen.last) / taken,
        _p95(seen.first) * 1e3,
        _p95(seen.last) * 1e3,
    )


def _turns(seconds: int, pause: float) -> range:
    return range(max(1, round(seconds / pause)))


async def _client(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: bytes,
    seen: _Seen,
    times: list[float],
) -> None:
    for due in times:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        # From when it was due: a client that is late itself must not make the server look fast.
        begin = max(due, time.perf_counter() - 0.01)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200") or b"text/event-stream" not in head:
            raise LoadError(f"no stream: {head.decode(errors='replace')}")
        first, body = 0.0, b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
            first = first or time.perf_counter()
        await reader.readline()
        seen.first.append(first - begin)
        seen.last.append(time.perf_counter() - begin)
        if json.loads(_last_event(body)).get("result") is None:
            raise LoadError(f"no result: {body.decode(errors='replace')[-200:]}")


def _last_event(body: bytes) -> bytes:
    return body.rstrip().rpartition(b"data: ")[2]


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]
