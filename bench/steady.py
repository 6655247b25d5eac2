"""Calls at a steady pace on many connections, each answered whole: how late the answers are."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bench.wrk import ID, ID_DIGITS, LoadError

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER_SECONDS = 30.0


def seconds_of(
    port: int, requests: Sequence[str], *, connections: int, per_second: int, seconds: int
) -> list[float]:
    """Have each connection call at its own pace, and get how long each answer took.

    The time runs from when a call was due, whether or not anybody was in its way.

    Args:
        port: Of the server.
        requests: Whole HTTP requests; each connection sends one of them again and again.
        connections: How many.
        per_second: Calls of all together.
        seconds: How long.

    Raises:
        LoadError: A call was not answered as it has to be.
    """
    return asyncio.run(_run(port, requests, connections, per_second, seconds))


async def _run(
    port: int, requests: Sequence[str], connections: int, per_second: int, seconds: int
) -> list[float]:
    pause = connections / per_second
    turns = range(max(1, round(seconds / pause)))
    taken: list[float] = []
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    begin = time.perf_counter() + 0.2
    try:
        async with asyncio.timeout(seconds + ANSWER_SECONDS):
            await asyncio.gather(
                *(
                    _client(
                        *streams[number],
                        requests[number % len(requests)],
                        10 ** (ID_DIGITS - 1) + number,
                        [begin + pause * (turn + number / connections) for turn in turns],
                        taken,
                    )
                    for number in range(connections)
                )
            )
    except (TimeoutError, asyncio.IncompleteReadError, OSError) as error:
        raise LoadError(f"port {port}: an answer did not come") from error
    finally:
        for _, writer in streams:
            writer.close()
    return taken


async def _client(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: str,
    call_id: int,
    times: Sequence[float],
    taken: list[float],
) -> None:
    sent = request.replace(ID, str(call_id)).encode()
    for due in times:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        writer.write(sent)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length or 0))
        taken.append(time.perf_counter() - due)
        if b" 200 " not in head[:16] or b"number%d" % call_id not in body:
            raise LoadError(f"port {port_of(writer)}: {(head + body).decode(errors='replace')}")


def port_of(writer: asyncio.StreamWriter) -> int:
    """Say where a connection goes."""
    port: int = writer.get_extra_info("peername")[1]
    return port


def percentile(values: Sequence[float], part: float) -> float:
    """Get the value below which a part of them lie."""
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]
