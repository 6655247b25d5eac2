"""How a conversation begins: `server/discover` where the server knows it, else `initialize`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from breakwater_contract.mcp import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    HANDSHAKE_PROTOCOL_VERSIONS,
    LATEST_MODERN_VERSION,
    MODERN_PROTOCOL_VERSIONS,
    PROTOCOL_VERSION_META_KEY,
    SERVER_INFO_META_KEY,
)
from breakwater_runtime.backends.codec.instance import HTTP_STATUS, About
from breakwater_runtime.backends.codec.messages import Result
from breakwater_runtime.calls import RpcError

DISCOVER = "server/discover"
INITIALIZE = "initialize"
INITIALIZED = "notifications/initialized"
CLIENT = {"name": "breakwater", "version": "1"}
OLDER = HANDSHAKE_PROTOCOL_VERSIONS[-1]

UNSURE_SECONDS = 5.0
"""After which a server that says nothing to `server/discover` is asked in the older way too: some
ignore what they do not know, and some are only slow to start."""

Ask = Callable[[str, dict[str, Any]], Awaitable[Result]]
Tell = Callable[[str, dict[str, Any] | None], Awaitable[None]]


class GreetingError(Exception):
    """The server does not speak MCP, or no version that is known here."""


def envelope(capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """Make the `_meta` of a request of our own."""
    return {
        PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION,
        CLIENT_CAPABILITIES_META_KEY: capabilities,
        CLIENT_INFO_META_KEY: CLIENT,
    }


async def greet(
    ask: Ask, tell: Tell, *, modern: bool | None, initialize: Mapping[str, Any]
) -> About:
    """Begin a conversation.

    Args:
        ask: Asks the server.
        tell: Tells it something.
        modern: In which era; None: the newest that it knows.
        initialize: What we say of ourselves in the older era.

    Raises:
        GreetingError: It knows no such era, or answers nonsense.
        RpcError: It went away.
    """
    if modern:
        return await _discover(ask)
    if modern is False:
        return await _initialize(ask, tell, initialize)
    discovering = asyncio.ensure_future(_discover(ask))
    try:
        return await asyncio.wait_for(asyncio.shield(discovering), UNSURE_SECONDS)
    except GreetingError:
        return await _initialize(ask, tell, initialize)
    except TimeoutError:
        return await _either(discovering, _initialize(ask, tell, initialize))
    finally:
        discovering.cancel()


async def _either(discovering: asyncio.Future[About], initializing: Awaitable[About]) -> About:
    """Take the first greeting that is returned."""
    other = asyncio.ensure_future(initializing)
    try:
        done, _ = await asyncio.wait({discovering, other}, return_when=asyncio.FIRST_COMPLETED)
        first = discovering if discovering in done else other
        try:
            return await first
        except GreetingError:
            return await (other if first is discovering else discovering)
    finally:
        other.cancel()


async def _discover(ask: Ask) -> About:
    try:
        result = (await ask(DISCOVER, {"_meta": envelope({})})).content
    except RpcError as error:
        raise _refused(DISCOVER, error) from error
    supported = result.get("supportedVersions") if isinstance(result, dict) else None
    if not isinstance(supported, list) or not set(MODERN_PROTOCOL_VERSIONS) & set(supported):
        raise GreetingError("it answers server/discover, and serves no version of that era")
    meta = result.get("_meta")
    info = meta.get(SERVER_INFO_META_KEY) if isinstance(meta, dict) else None
    return _about(LATEST_MODERN_VERSION, result, info, modern=True)


async def _initialize(ask: Ask, tell: Tell, initialize: Mapping[str, Any]) -> About:
    said = {
        "protocolVersion": OLDER,
        "capabilities": {},
        "clientInfo": CLIENT,
        **initialize,
    }
    try:
        result = (await ask(INITIALIZE, said)).content
    except RpcError as error:
        raise _refused(INITIALIZE, error) from error
    version = result.get("protocolVersion") if isinstance(result, dict) else None
    if version not in HANDSHAKE_PROTOCOL_VERSIONS:
        raise GreetingError(f"it answers initialize with the protocol version {str(version)[:40]}")
    await tell(INITIALIZED, None)
    return _about(version, result, result.get("serverInfo"), modern=False)


def _refused(method: str, error: RpcError) -> Exception:
    data = error.data if isinstance(error.data, dict) else {}
    if (status := data.get(HTTP_STATUS)) is not None:
        return GreetingError(f"it answers {method} with the HTTP status {status}")
    if data.get("code") == "SERVER_UNAVAILABLE":
        return error
    return GreetingError(f"it answers {method} with the error {error.code}")


def _about(version: str, result: dict[str, Any], info: Any, *, modern: bool) -> About:
    capabilities = result.get("capabilities")
    return About(
        version,
        modern,
        capabilities if isinstance(capabilities, dict) else {},
        info if isinstance(info, dict) else {},
        result,
    )
