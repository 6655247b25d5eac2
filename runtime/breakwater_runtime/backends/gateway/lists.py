"""One list made of several: tools, prompts, resources and templates of all backends."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from breakwater_contract.mcp import METHOD_NOT_FOUND, MODERN_PROTOCOL_VERSIONS, SERVER_INFO_META_KEY
from breakwater_runtime.backends import encoding
from breakwater_runtime.backends.gateway.members import Members
from breakwater_runtime.backends.gateway.resources import Owners
from breakwater_runtime.calls import Call, Refused, RpcError

logger = logging.getLogger(__name__)

LIST_SECONDS = 10.0
"""How long one backend may take to say what it has; then the others' lists go without it, and
listeners are told once it has said it."""

MISSING_META_KEY = "breakwater.dev/missingBackends"
"""The member of a list's `_meta` that names the backends whose part it lacks."""

Item = dict[str, Any]

PAGES_MAX = 50
"""How many pages of one backend's list are fetched."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is listed."""

    member: str
    """Where the list stands in a result."""
    key: str
    """What tells its items apart."""


KINDS = {
    "tools/list": Kind("tools", "name"),
    "prompts/list": Kind("prompts", "name"),
    "resources/list": Kind("resources", "uri"),
    "resources/templates/list": Kind("resourceTemplates", "uriTemplate"),
}


@dataclass(slots=True)
class Part:
    """One backend's list."""

    items: list[Item]
    ttl_ms: int = 0
    """How long it holds."""
    is_public: bool = False
    """Whether it is the same for all callers."""


def read(result: bytes, kind: Kind, part: Part) -> str | None:
    """Add a page to a part; return where the next one is."""
    content = orjson.loads(result)
    items = content.get(kind.member)
    part.items += [item for item in items if isinstance(item, dict)] if items else ()
    ttl = content.get("ttlMs")
    part.ttl_ms = ttl if type(ttl) is int else 0
    part.is_public = content.get("cacheScope") == "public"
    cursor = content.get("nextCursor")
    return cursor if isinstance(cursor, str) else None


def merged(
    call: Call,
    kind: Kind,
    parts: Sequence[Part],
    server_info: Mapping[str, Any],
    missing: Sequence[str],
) -> bytes:
    """Make one result of parts, without those of `missing` backends.

    Of items with one name the first stays.
    """
    items: dict[Any, Item] = {}
    for part in parts:
        for item in part.items:
            items.setdefault(item.get(kind.key), item)
    content: dict[str, Any] = {kind.member: list(items.values())}
    meta: dict[str, Any] = {MISSING_META_KEY: list(missing)} if missing else {}
    if call.version in MODERN_PROTOCOL_VERSIONS:
        ttl = min((part.ttl_ms for part in parts), default=0)
        content |= {
            "resultType": "complete",
            "ttlMs": 0 if missing else ttl,
            "cacheScope": "public" if all(part.is_public for part in parts) else "private",
        }
        meta[SERVER_INFO_META_KEY] = server_info
    if meta:
        content["_meta"] = meta
    return encoding.dumps(content)


class Lists:
    """Fetches what all backends list."""

    def __init__(self, members: Members, owners: Owners, changed: Callable[[], None]) -> None:
        """Fetch from `members`, and let `owners` know whose resources are whose.

        Args:
            members: The backends.
            owners: Who has which resources.
            changed: Called when a part is there that a list had to go without.
        """
        self._members = members
        self._owners = owners
        self._changed = changed
        self._late: dict[tuple[int, str, str], asyncio.Task[Part]] = {}

    def close(self) -> None:
        """Wait for nobody any more."""
        for fetching in self._late.values():
            fetching.cancel()

    async def parts(self, call: Call) -> list[Part | None]:
        """Get each backend's part of a list; None: it has none to give now."""
        return await asyncio.gather(*(self.part(number, call) for number in self._members.numbers))

    async def part(self, number: int, call: Call) -> Part | None:
        """Get one backend's part."""
        backend = self._members.backends[number]
        if backend.fault is not None:
            return None
        try:
            return await self._in_time(number, call)
        except RpcError as error:
            if error.code == METHOD_NOT_FOUND:
                return Part([])
            reason = error.message
        except (Refused, TimeoutError) as error:
            reason = type(error).__name__
        logger.warning(
            "a list lacks a backend's part",
            extra={"backend": backend.name, "method": call.method, "reason": reason},
        )
        return None

    async def _in_time(self, number: int, call: Call) -> Part:
        """Fetch it, and go on with that where it takes too long, for those who listen.

        Raises:
            TimeoutError: It takes too long.
        """
        fetching = asyncio.ensure_future(self._pages(number, call))
        try:
            await asyncio.wait({fetching}, timeout=LIST_SECONDS)
        except asyncio.CancelledError:
            fetching.cancel()
            raise
        if fetching.done():
            return fetching.result()
        key = (number, call.method, call.principal.name)
        if key in self._late:
            fetching.cancel()
        else:
            self._late[key] = fetching
            fetching.add_done_callback(partial(self._came, key))
        raise TimeoutError

    def _came(self, key: tuple[int, str, str], fetching: asyncio.Task[Part]) -> None:
        del self._late[key]
        if not fetching.cancelled() and fetching.exception() is None:
            self._changed()

    async def _pages(self, number: int, call: Call) -> Part:
        kind, part = KINDS[call.method], Part([])
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            its = call.again()
            if cursor is not None:
                its.params = {**(call.params or {}), "cursor": cursor}
            page = await self._members.answer(number, its)
            cursor = read(page, kind, part)
            if cursor is None:
                break
        if kind.key != "name":
            self._owners.learn(number, part.items)
        return part
