"""Backends of containers as the tests use them, without an endpoint in front."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_runtime.backends import container
from breakwater_runtime.backends.container import ContainerBackend, Pod
from breakwater_runtime.calls import Call, Principal, RpcError
from tests.support import children
from tests.support.children import Helper

OLDER = "2025-11-25"
MODERN = "2026-07-28"
LEAN = [sys.executable, "-IS", str(Path(children.__file__).with_name("stdio_server.py"))]
"""The command of a server that starts at once."""
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Notes:
    """A way back to a client that keeps what comes along it."""

    can_ask = True

    def __init__(self, answer: Mapping[str, Any] | None = None) -> None:
        self.heard: list[tuple[str, Mapping[str, Any] | None]] = []
        self.asked: list[str] = []
        self._answer = dict(answer or {})

    async def notify(self, method: str, params: Mapping[str, Any] | None) -> None:
        self.heard.append((method, params))

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any] | None,  # noqa: ARG002 - as Channel has it
        timeout_seconds: float | None,  # noqa: ARG002 - as Channel has it
    ) -> dict[str, Any]:
        self.asked.append(method)
        return self._answer

    async def close_stream(self) -> None:
        pass


def call(
    method: str,
    params: dict[str, Any] | None = None,
    *,
    by: str = "alice",
    version: str = OLDER,
    channel: Notes | None = None,
) -> Call:
    """Make a request as it comes out of an endpoint."""
    if version == MODERN:
        params = {**(params or {}), "_meta": {**ENVELOPE, **((params or {}).get("_meta") or {})}}
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": []}
    return Call(method, params, 1, version, Principal(by), scope, channel or Notes())


def tool(name: str, *, by: str = "alice", version: str = OLDER, **arguments: Any) -> Call:
    """Make a call of a tool."""
    return call("tools/call", {"name": name, "arguments": arguments}, by=by, version=version)


async def text(backend: ContainerBackend, asked: Call) -> str:
    """Call a tool and get the text that it returns."""
    result = orjson.loads(await backend.answer(asked))
    said: str = result["content"][0]["text"]
    return said


async def insisted(backend: ContainerBackend, ask: Callable[[], Call], seconds: float = 60) -> str:
    """Call a tool, again where the server is away, and get the text that it returns."""
    async with asyncio.timeout(seconds):
        while True:
            with suppress(RpcError):
                return await text(backend, ask())
            await asyncio.sleep(0.05)


@asynccontextmanager
async def backend(helper: Helper, **settings: Any) -> AsyncIterator[ContainerBackend]:
    """Run a backend in front of a helper, and wait until it is well."""
    async with starting(helper, **settings) as made:
        await well(made)
        yield made


@asynccontextmanager
async def starting(helper: Helper, **settings: Any) -> AsyncIterator[ContainerBackend]:
    """Run a backend in front of a helper, however it is."""
    told = Settings.model_validate({"stdio": {"socket": str(helper.socket)}, **settings})
    made = container.backend("main", told, Path("/"), Pod())
    async with made.running():
        yield made


async def well(backend: ContainerBackend) -> None:
    """Wait until a backend can answer."""
    await eventually(lambda: backend.fault is None)


async def eventually(condition: Any, seconds: float = 20) -> None:
    """Wait for something, with a bound."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of other processes there is no event
            await asyncio.sleep(0.01)
