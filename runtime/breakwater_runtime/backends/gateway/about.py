"""What several servers say of themselves, said as one."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from breakwater_contract.mcp import (
    HANDSHAKE_PROTOCOL_VERSIONS,
    MODERN_PROTOCOL_VERSIONS,
    SERVER_INFO_META_KEY,
)
from breakwater_runtime.backends import encoding
from breakwater_runtime.backends.gateway import own
from breakwater_runtime.backends.gateway.members import Members
from breakwater_runtime.calls import Refused, RpcError

KNOWN_SECONDS = 5.0
"""How long what a backend said of itself is taken for true."""

ASK_SECONDS = 10.0
"""How long it may take to say it; then the others' words go without it."""

INSTRUCTIONS_CHARACTERS_MAX = 8192
"""How much of one server's instructions is repeated."""

Said = Mapping[str, Any]


def capabilities(all_said: Iterable[Said]) -> dict[str, Any]:
    """Make the union of what servers can do, and say that lists may change: servers come and go."""
    union: dict[str, Any] = {"tools": {}}
    for said in all_said:
        given = said.get("capabilities")
        if isinstance(given, dict):
            union = _united(union, given)
    for kind in ("tools", "resources", "prompts"):
        if isinstance(union.get(kind), dict):
            union[kind] = {**union[kind], "listChanged": True}
    return union


def _united(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    union = dict(one)
    for name, value in other.items():
        known = union.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            union[name] = _united(known, value)
        elif not known:
            union[name] = value
    return union


def instructions(all_said: Mapping[str, Said]) -> str | None:
    """Put what servers tell models one after another, each under its backend's name."""
    parts = [
        f"# {name}\n\n{text[:INSTRUCTIONS_CHARACTERS_MAX]}"
        for name, said in all_said.items()
        if isinstance(text := said.get("instructions"), str) and text
    ]
    return "\n\n".join(parts) or None


def discovered(all_said: Mapping[str, Said], server_info: Said) -> bytes:
    """Make the answer to `server/discover`."""
    content: dict[str, Any] = {
        "supportedVersions": list(MODERN_PROTOCOL_VERSIONS),
        "capabilities": capabilities(all_said.values()),
        "ttlMs": 0,
        "cacheScope": "private",
        "resultType": "complete",
        "_meta": {SERVER_INFO_META_KEY: server_info},
    }
    return encoding.dumps(_instructed(content, all_said))


def initialized(all_said: Mapping[str, Said], server_info: Said, params: Any) -> bytes:
    """Make the answer to `initialize`; it names the version that was asked for."""
    asked = params.get("protocolVersion") if isinstance(params, dict) else None
    known = asked in HANDSHAKE_PROTOCOL_VERSIONS
    content: dict[str, Any] = {
        "protocolVersion": asked if known else HANDSHAKE_PROTOCOL_VERSIONS[-1],
        "capabilities": capabilities(all_said.values()),
        "serverInfo": server_info,
    }
    return encoding.dumps(_instructed(content, all_said))


def _instructed(content: dict[str, Any], all_said: Mapping[str, Said]) -> dict[str, Any]:
    text = instructions(all_said)
    return content if text is None else {**content, "instructions": text}


class About:
    """Asks each backend what it says of itself, and remembers it."""

    def __init__(self, members: Members) -> None:
        """Ask `members`."""
        self._members = members
        self._known: dict[tuple[int, bool], tuple[float, Said]] = {}

    async def all(self, *, modern: bool) -> Mapping[str, Said]:
        """Get what each said, by its name; of one that is away, what it said last."""
        asked = (self._one(number, modern=modern) for number in self._members.numbers)
        said = await asyncio.gather(*asked)
        names = (backend.name for backend in self._members.backends)
        return {name: each for name, each in zip(names, said, strict=True) if each}

    async def _one(self, number: int, *, modern: bool) -> Said:
        backend, now = self._members.backends[number], asyncio.get_running_loop().time()
        asked, known = self._known.get((number, modern), (now - KNOWN_SECONDS, {}))
        if backend.fault is not None or now - asked < KNOWN_SECONDS:
            return known
        for request in (own.discover(),) if modern else (own.initialize(), own.discover()):
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    said: Said = orjson.loads(await backend.answer(request))
            except (RpcError, Refused, TimeoutError):
                continue
            self._known[number, modern] = (now, said)
            return said
        return known
