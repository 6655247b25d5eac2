"""SIGTERM while much is going on, as clients see it on the wire."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.unit.runtime.test_process import (
    START_SECONDS,
    Running,
    message,
    modern,
    prepare,
    reserved,
    running,
    settings,
)

pytestmark = pytest.mark.process

LISTENERS = 1000
CALLS = 100


class Conversation:
    """One request over a connection of its own, read up to its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.begin = b""

    async def read_begin(self) -> None:
        self.begin = await self._reader.readuntil(b"\r\n\r\n")
        self.begin += await self._reader.read(1)

    async def read_end(self) -> bytes:
        try:
            return self.begin + await self._reader.read()
        finally:
            self._writer.close()


async def ask(runtime: Running, method: str, **params: object) -> Conversation:
    host, _, port = runtime.public.removeprefix("http://").partition(":")
    name = params.get("name")
    body = json.dumps(message(method, **params)).encode()
    headers = modern(method, str(name) if name else None) | {"content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST /mcp HTTP/1.1\r\nhost: {host}\r\n{head}\r\n".encode() + body)
    return Conversation(reader, writer)


@pytest.mark.requirement("T17", "K5", "T21")
async def test_whatever_goes_on_when_the_process_stops_comes_to_an_end(tmp_path: Path) -> None:
    with reserved() as ports:
        config = prepare(tmp_path, settings(ports))
        with running(config, ports, drain_seconds=4) as runtime:
            await runtime.ready()
            listeners = [
                await ask(runtime, "subscriptions/listen", notifications={"toolsListChanged": True})
                for _ in range(LISTENERS)
            ]
            for listener in listeners:
                await listener.read_begin()
            calls = [
                await ask(runtime, "tools/call", name="slow", arguments={"name": "called"})
                for _ in range(CALLS)
            ]
            stuck = await ask(runtime, "tools/call", name="stuck", arguments={})
            for name in ("called", "stuck"):
                await runtime.until((tmp_path / name).exists)

            runtime.process.send_signal(signal.SIGTERM)
            await runtime.until_log("draining")
            late = await ask(runtime, "tools/call", name="forecast", arguments={"city": "Rome"})
            async with asyncio.timeout(2 * START_SECONDS):
                heard = [await listener.read_end() for listener in listeners]
                answered = [await call.read_end() for call in calls]
                served = await late.read_end()
                cut = await stuck.read_end()
            code = await runtime.stopped()

    assert code == 0
    assert all(b'"result"' in each and each.endswith(b"0\r\n\r\n") for each in heard)
    assert all(b"called done" in each for each in answered)
    assert b"sun in Rome" in served
    assert b"connection: close" in served
    assert cut.startswith(b"HTTP/1.1 503")
    assert b'"id":1' in cut
    assert b"SHUTTING_DOWN" in cut
