"""What the app is told of a request: ASGI's scope, out of what the parser found."""

import asyncio
import urllib.parse
from typing import Any, Final, NamedTuple

import httptools

SCOPE: Final[dict[str, Any]] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "",
    "method": "",
    "scheme": "",
    "path": "",
    "raw_path": b"",
    "query_string": b"",
    "root_path": "",
    "headers": [],
    "client": None,
    "server": None,
}
"""What the scopes of all requests have, in the same order: a copy costs less than a new one."""

_USUAL = (
    *(b"accept", b"accept-encoding", b"authorization", b"connection", b"content-length"),
    *(b"content-type", b"forwarded", b"host", b"last-event-id", b"mcp-method", b"mcp-name"),
    *(b"mcp-protocol-version", b"mcp-session-id", b"origin", b"traceparent", b"user-agent"),
    *(b"x-api-key", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id"),
)
USUAL: Final = (
    {name: name for name in _USUAL}
    | {name.title(): name for name in _USUAL}
    | {
        b"MCP-Protocol-Version": b"mcp-protocol-version",
        b"X-API-Key": b"x-api-key",
        b"X-Request-ID": b"x-request-id",
    }
)
"""Names of headers as most clients write them, in lower case: found faster than made."""


class Ends(NamedTuple):
    """What all requests of a connection have in common."""

    scheme: str
    client: tuple[str, int] | None
    server: tuple[str, int] | None


def ends_of(transport: asyncio.BaseTransport) -> Ends:
    """Say between whom a connection is."""
    scheme = "https" if transport.get_extra_info("sslcontext") else "http"
    return Ends(scheme, _address(transport, "peername"), _address(transport, "sockname"))


def scope_of(
    ends: Ends, method: str, version: str, url: bytes, headers: list[tuple[bytes, bytes]]
) -> dict[str, Any]:
    """Make the scope of a request.

    Raises:
        ValueError: There is no path in the URL.
    """
    if url[:1] == b"/" and b"#" not in url:
        raw_path, _, query = url.partition(b"?")
    else:
        raw_path, query = _other_form(url)
    path = raw_path.decode("ascii")
    scope = SCOPE.copy()
    scope["http_version"] = version
    scope["method"] = method
    scope["scheme"] = ends.scheme
    scope["path"] = urllib.parse.unquote(path) if "%" in path else path
    scope["raw_path"] = raw_path
    scope["query_string"] = query
    scope["headers"] = headers
    scope["client"] = ends.client
    scope["server"] = ends.server
    return scope


def _other_form(url: bytes) -> tuple[bytes, bytes]:
    """Find path and query in a URL that does not begin with its path."""
    try:
        # What is not in it is None, other than its types say.
        parsed: Any = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError as error:
        raise ValueError("not a URL") from error
    return parsed.path or b"/", parsed.query or b""


def _address(transport: asyncio.BaseTransport, name: str) -> tuple[str, int] | None:
    address = transport.get_extra_info(name)
    return (_plain(str(address[0])), int(address[1])) if isinstance(address, tuple) else None


def _plain(host: str) -> str:
    """Write an address of IPv4 as one, also where a socket for both families took it."""
    return host.removeprefix("::ffff:") if "." in host else host
