"""HTTP requests without sockets: the client can go away, the answer is read as it comes."""

import asyncio
import urllib.parse
from typing import Any, Protocol

import orjson
from starlette.types import ASGIApp, Message

from breakwater_runtime.calls import Principal, Request

MODERN = "2026-07-28"
ACCEPT = "application/json, text/event-stream"


class Exchange:
    """A request under way."""

    def __init__(self, app: ASGIApp, scope: dict[str, Any], body: bytes) -> None:
        self._body: bytes | None = body
        self._gone = asyncio.Event()
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not self.status
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        if not self.complete and not self._gone.is_set():
            self._sent.put_nowait(message)
            if not message.get("more_body", False):
                self.complete = True
                self._gone.set()

    def disconnect(self) -> None:
        self._gone.set()

    async def chunk(self) -> bytes:
        """Wait for the next part of the answer."""
        async with asyncio.timeout(5):
            part: bytes = (await self._sent.get())["body"]
            return part

    async def rest(self) -> bytes:
        """Wait for the end, and get all that has not been read."""
        await self.ended()
        parts = [self._sent.get_nowait()["body"] for _ in range(self._sent.qsize())]
        return b"".join(parts)

    async def event(self) -> dict[str, Any]:
        """Wait for the next event that is a message; beware of those without."""
        return event(await self.chunk())

    async def json(self) -> Any:
        """Wait for the whole answer."""
        async with asyncio.timeout(5):
            await self.task
        return orjson.loads(await self.chunk())

    async def ended(self) -> None:
        async with asyncio.timeout(5):
            await self.task


def event(chunk: bytes) -> dict[str, Any]:
    """Read the message of an event."""
    fields = dict(line.split(b": ", 1) for line in chunk.splitlines() if line)
    content = orjson.loads(fields[b"data"]) if fields.get(b"data") else {}
    return content | ({"event_id": fields[b"id"].decode()} if b"id" in fields else {})


class Caller:
    """Somebody who calls an endpoint."""

    def __init__(
        self, app: ASGIApp, name: str = "alice", url: str = "/mcp", **headers: str | None
    ) -> None:
        self._app = app
        self._path, _, self._query = url.partition("?")
        self._headers = headers
        self._principal = Principal(name)

    def send(self, method: str, body: bytes = b"", **headers: str | None) -> Exchange:
        given = {"content_type": "application/json", "accept": ACCEPT} | self._headers | headers
        scope: dict[str, Any] = {
            "type": "http",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "method": method,
            "path": urllib.parse.unquote(self._path),
            "raw_path": self._path.encode(),
            "query_string": self._query.encode(),
            "headers": [
                (name.replace("_", "-").encode(), value.encode())
                for name, value in given.items()
                if value is not None
            ],
        }
        Request("r-1", self._principal).bind(scope)
        return Exchange(self._app, scope, body)

    def modern(self, method: str, message_id: object = 1, **params: Any) -> Exchange:
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        meta |= params.pop("_meta", {})
        message = {"jsonrpc": "2.0", "id": message_id, "method": method}
        message["params"] = {**params, "_meta": meta}
        headers = {"mcp_protocol_version": MODERN, "mcp_method": method}
        if "name" in params:
            headers["mcp_name"] = params["name"]
        return self.send("POST", orjson.dumps(message), **headers)

    def older(
        self, method: str, message_id: object = 1, session: str | None = None, **params: Any
    ) -> Exchange:
        message = {"jsonrpc": "2.0", "id": message_id, "method": method, "params": params}
        if message_id is None:
            del message["id"]
        return self.post(message, session)

    def post(self, content: Any, session: str | None = None, **headers: str | None) -> Exchange:
        return self.send("POST", orjson.dumps(content), mcp_session_id=session, **headers)

    async def initialize(self, **capabilities: Any) -> str | None:
        """Shake hands; return the session's id."""
        exchange = self.older(
            "initialize", protocolVersion="2025-11-25", capabilities=capabilities, clientInfo={}
        )
        await exchange.json()
        return exchange.headers.get("mcp-session-id")


class Door(Protocol):
    """Makes a caller of a path."""

    def __call__(self, url: str, **headers: str | None) -> Caller: ...
