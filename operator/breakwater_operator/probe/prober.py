"""Asking one pod how it is, and whether it speaks MCP."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
from pydantic import ValidationError

from breakwater_contract.names import HEALTH_PATH, MANAGEMENT_PORT, MCP_PATH
from breakwater_operator.probe.health import HEALTH_BYTES_MAX, read_health
from breakwater_operator.probe.token import SigningKey, best
from breakwater_operator.status.facts import Probe, ServerInfo

if TYPE_CHECKING:
    from breakwater_operator.probe.hello import Asked

PROTOCOL_VERSION = "2026-07-28"
"""The revision of MCP that needs one request to say hello; our runtime serves it."""

ANSWER_SECONDS = 5.0
"""How long one answer may take."""

ANSWER_BYTES_MAX = 8 * 1024 * 1024
"""Largest answer read: the pod may run code that we do not trust."""

PAGES_MAX = 20
"""Most pages of tools asked for, for the same reason."""


@dataclass(frozen=True)
class Target:
    """A pod to ask."""

    uid: str
    """The pod's uid."""
    address: str
    """Its IP address."""
    audience: str
    """The uid of its McpServer, for which tokens are signed."""
    server: tuple[str, str]
    """Namespace and name of its McpServer."""
    keys: tuple[str, ...] = ()
    """Ids of those of our keys that it has said it knows."""


class Prober(Protocol):
    """Asks pods. Tests have another one, for pods that only pretend to run."""

    async def health(self, target: Target) -> Probe:
        """Ask how a pod is; everything that goes wrong is in the answer."""

    async def handshake(self, target: Target) -> ServerInfo:
        """Speak MCP with a pod.

        Raises:
            HandshakeError: It did not answer as an MCP server should.
        """

    async def close(self) -> None:
        """Close all connections."""


class HandshakeError(Exception):
    """A server did not answer as an MCP server should; the message says how."""


class HttpProber:
    """Asks pods at their own addresses, on the port that only the operator may use."""

    def __init__(
        self,
        keys: Callable[[], Sequence[SigningKey]],
        *,
        port: int = MANAGEMENT_PORT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open no connection yet.

        Args:
            keys: Gives the keys to sign with, oldest first.
            port: The management port of the pods.
            clock: Seconds since 1970.
        """
        self._keys = keys
        self._port = port
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def health(self, target: Target) -> Probe:
        """Ask how a pod is."""
        try:
            body = await self._ask("GET", target, HEALTH_PATH, {}, None)
            return read_health(json.loads(body))
        except (aiohttp.ClientError, OSError) as error:
            return Probe(reached=False, fault=f"{HEALTH_PATH} did not answer: {_why(error)}")
        except (ValueError, TypeError, LookupError, AttributeError):
            return Probe(reached=True, fault=f"{HEALTH_PATH} answered something else than health")

    async def handshake(self, target: Target) -> ServerInfo:
        """Speak MCP with a pod: discover it and list its tools."""
        # Not with everything else when the process starts: see there.
        from breakwater_operator.probe import hello

        try:
            found = await self._call(target, hello.who())
            # What is wrong with it is said before more is asked.
            info = hello.server(found, tools=0)
            return replace(info, tools=await self._tools(target))
        except KeyError as error:
            raise HandshakeError("server/discover was answered without a serverInfo") from error
        except (aiohttp.ClientError, OSError) as error:
            raise HandshakeError(f"{MCP_PATH} did not answer: {_why(error)}") from error
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(map(str, wrong["loc"]))
            raise HandshakeError(
                f"{MCP_PATH} answered a {error.title} that is not one: {where}: {wrong['msg']}"
            ) from error

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _tools(self, target: Target) -> int:
        from breakwater_operator.probe import hello

        count, cursor = 0, None
        for _ in range(PAGES_MAX):
            more, cursor = hello.page(await self._call(target, hello.which_tools(cursor)))
            count += more
            if not cursor:
                return count
        raise HandshakeError(f"tools/list has more than {PAGES_MAX} pages")

    async def _call(self, target: Target, asked: "Asked") -> dict[str, Any]:
        headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": PROTOCOL_VERSION,
            "Mcp-Method": asked.method,
        }
        body = await self._ask("POST", target, MCP_PATH, headers, asked.message)
        return _result(asked.method, body)

    async def _ask(
        self, method: str, target: Target, path: str, headers: dict[str, str], body: str | None
    ) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
                # A pod's address may belong to another pod the next time.
                connector=aiohttp.TCPConnector(force_close=True, limit=0),
                trust_env=False,
            )
        host = f"[{target.address}]" if ":" in target.address else target.address
        bearer = best(self._keys(), target.keys).token(target.audience, self._clock)
        async with self._session.request(
            method,
            f"http://{host}:{self._port}{path}",
            headers=headers | {"Authorization": f"Bearer {bearer}"},
            data=body,
            allow_redirects=False,
        ) as answer:
            most = ANSWER_BYTES_MAX if path == MCP_PATH else HEALTH_BYTES_MAX
            content = await answer.content.read(most)
            while not answer.content.at_eof() and len(content) < most:
                content += await answer.content.read(most - len(content))
            if path == MCP_PATH and answer.status != 200:
                raise HandshakeError(f"{MCP_PATH} answered {answer.status} to {_method(body)}")
            return content


def _result(method: str, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(_data(body))
        if "error" in answer:
            raise HandshakeError(f"{method} was answered with an error: {answer['error']}")
        result: dict[str, Any] = answer["result"]
    except (ValueError, TypeError, LookupError) as error:
        raise HandshakeError(f"{method} was not answered with a JSON-RPC response") from error
    return result


def _data(body: bytes) -> bytes:
    """Take the last message of an event stream; plain JSON is what it is."""
    lines = [line[5:] for line in body.splitlines() if line.startswith(b"data:")]
    return lines[-1] if lines else body


def _method(body: str | None) -> str:
    return str(json.loads(body)["method"]) if body else "GET"


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {ANSWER_SECONDS:.0f} s"
    if isinstance(error, aiohttp.ClientConnectorError) and error.errno:
        # In the system's words: aiohttp's name addresses and how TLS is set up.
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
