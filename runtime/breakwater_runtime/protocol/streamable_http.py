"""`/mcp`: what a request must be before a backend sees it, the same for every era."""

from collections.abc import Iterator
from typing import Any

import orjson
from mcp_types import PROTOCOL_VERSION_META_KEY
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Body
from starlette.types import Message, Receive, Scope, Send

from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.calls import Principal, Problem, Refused, Request
from breakwater_runtime.tools import gate

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
VERSION_HEADER = "mcp-protocol-version"


class StreamableHttp:
    """The endpoint of Streamable HTTP, 2026-07-28 and before.

    Every refusal is a JSON-RPC error: a 400 or 404 without one makes clients that try the newest
    protocol first believe that the server is an old one.
    """

    def __init__(self, backend: Backend) -> None:
        """Serve one backend."""
        self._backend = backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, pass its messages through the gate, let the backend answer."""
        # Nothing is offered by GET or DELETE: there are no sessions to resume or to end.
        if scope["method"] != "POST":
            raise Refused(Problem.METHOD_NOT_ALLOWED, headers={"allow": "POST"})
        headers = Headers(scope=scope)
        _check_media_types(headers)
        try:
            body = await Body(scope, receive).body()
        except ClientDisconnect:
            return
        _admit(Request.of(scope).principal, _parse(body), headers)
        await self._backend.answer(scope, _replay(body, receive), send)


def _check_media_types(headers: Headers) -> None:
    """Refuse what the specification demands that clients do not send.

    Raises:
        Refused: The body is not JSON, or the client does not take both kinds of answer.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Refused(Problem.UNSUPPORTED_MEDIA_TYPE)
    accepted = {
        part.partition(";")[0].strip().lower() for part in headers.get("accept", "").split(",")
    }
    takes_json = accepted & {JSON, "application/*", "*/*"}
    takes_events = accepted & {EVENT_STREAM, "text/*", "*/*"}
    if not (takes_json and takes_events):
        raise Refused(Problem.NOT_ACCEPTABLE)


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(Problem.MALFORMED) from error


def _admit(principal: Principal | None, content: Any, headers: Headers) -> None:
    if principal is None:  # a door without authentication in front: fail closed
        raise Refused(Problem.UNAUTHENTICATED)
    for message in _messages(content):
        message_id = message.get("id")
        try:
            _check_era(message, headers)
            gate.admit(principal, _method(message))
        except Refused as refusal:
            refusal.message_id = message_id if isinstance(message_id, str | int) else None
            raise


def _messages(content: Any) -> Iterator[dict[str, Any]]:
    """Yield the messages of a body: one, or those of a batch.

    Raises:
        Refused: It contains something else.
    """
    messages = content if isinstance(content, list) and content else [content]
    for message in messages:
        if not isinstance(message, dict):
            raise Refused(Problem.INVALID_MESSAGE)
        yield message


def _method(message: dict[str, Any]) -> str:
    """Get what a message asks for; answers of clients count as `response`."""
    method = message.get("method", "response")
    if not isinstance(method, str):
        raise Refused(Problem.INVALID_MESSAGE)
    return method


def _check_era(message: dict[str, Any], headers: Headers) -> None:
    """Refuse a message of today's era that would be taken for an older one without the header.

    Raises:
        Refused: The header is missing.
    """
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    names_version = isinstance(meta, dict) and PROTOCOL_VERSION_META_KEY in meta
    if names_version and VERSION_HEADER not in headers:
        raise Refused(Problem.HEADER_MISMATCH)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the backend the body that was read here, then what the connection says."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
