"""`/tools`, `/tools/{name}`, `POST /sse`, and NDJSON at `/mcp`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from breakwater_contract.mcp import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    REQUEST_TIMEOUT,
)
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.calls import (
    API_VERSION,
    Call,
    Principal,
    Problem,
    Refused,
    Request,
    RpcError,
)
from breakwater_runtime.protocol.dispatch import Dispatcher
from breakwater_runtime.protocol.eras import Era
from breakwater_runtime.protocol.headers import EVENT_STREAM, JSON, McpHeaders, kinds
from breakwater_runtime.protocol.json_rpc import ASSUMED
from breakwater_runtime.protocol.plain import bodies
from breakwater_runtime.protocol.plain.bodies import Ask
from breakwater_runtime.protocol.plain.forms import NDJSON, Events, Form, Lines
from breakwater_runtime.protocol.plain.reply import ErrorBody, PlainReply, outcome
from breakwater_runtime.protocol.ticker import Ticker
from breakwater_runtime.tools import gate
from breakwater_runtime.tools.arguments import Arguments

CALL, LIST = "tools/call", "tools/list"
ID = "plain"
ANY = "*/*"

PROBLEMS = {
    INVALID_PARAMS: Problem.INVALID_ARGUMENTS,
    METHOD_NOT_FOUND: Problem.TOOL_NOT_FOUND,
    REQUEST_TIMEOUT: Problem.TIMEOUT,
    INTERNAL_ERROR: Problem.INTERNAL,
}
"""What the errors of JSON-RPC are here; all others are the tool's own."""


@dataclass(frozen=True, slots=True)
class Http:
    """One request on its way."""

    scope: Scope
    receive: Receive
    send: Send
    principal: Principal
    headers: McpHeaders

    @classmethod
    def of(cls, scope: Scope, receive: Receive, send: Send) -> "Http":
        """Take a request that authentication let through.

        Raises:
            Refused: There was none in front.
        """
        request = Request.of(scope)
        if request.principal is None:  # fail closed
            raise Refused(Problem.UNAUTHENTICATED)
        headers = McpHeaders(scope["headers"], request.headers)
        return cls(scope, receive, send, request.principal, headers)

    @property
    def accepted(self) -> frozenset[str]:
        """The types that the client takes; whoever names none takes any."""
        return kinds(self.headers.accept or ANY.encode())


class PlainTools:
    """Tools for clients that know HTTP and no MCP."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        ticker: Ticker,
        *,
        now: Callable[[], datetime],
        error_body: ErrorBody,
    ) -> None:
        """Have calls answered by a dispatcher; `error_body` makes the one error body."""
        self._dispatcher = dispatcher
        self._ticker = ticker
        self._now = now
        self._error_body = error_body
        self._arguments = Arguments()

    # The endpoints

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /tools`: the tools that the caller may use."""
        http = Http.of(scope, receive, send)
        if http.accepted.isdisjoint({JSON, "application/*", ANY}):
            raise Refused(Problem.NOT_ACCEPTABLE, "Send Accept: application/json.")
        cursor = bodies.cursor(scope)
        gate.admit(http.principal, LIST)

        def document(result: bytes) -> bytes:
            listed = orjson.loads(result)
            more = {"nextCursor": listed["nextCursor"]} if listed.get("nextCursor") else {}
            return self._document(http, {"tools": listed.get("tools", []), **more})

        reply = self._reply(http, None)
        call = self._call(http, LIST, {} if cursor is None else {"cursor": cursor}, reply)
        await reply.serve(self._answer(call), document)

    async def call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /tools/{name}`: one call, its arguments in the body, its form by `Accept`."""
        http, tool = Http.of(scope, receive, send), bodies.tool_in(scope)
        accepted = http.accepted
        takes_json = not accepted.isdisjoint({JSON, "application/*", ANY})
        form: Form | None = None
        if NDJSON in accepted:
            form = Lines(self._now)
        elif EVENT_STREAM in accepted:
            form = Events(tool)
        elif not takes_json:
            raise Refused(
                Problem.NOT_ACCEPTABLE, f"Send Accept: {JSON}, {EVENT_STREAM} or {NDJSON}."
            )
        content = await bodies.read(http.headers, receive)
        if content is bodies.GONE:
            return
        # Who takes JSON too gets a stream only once it is needed.
        asked_for = form is not None and JSON not in accepted
        await self._serve(http, Ask(tool, bodies.arguments(content)), form, asked_for=asked_for)

    async def one_shot(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /sse`: one call as a stream of events."""
        http = Http.of(scope, receive, send)
        if http.accepted.isdisjoint({EVENT_STREAM, "text/*", ANY}):
            raise Refused(Problem.NOT_ACCEPTABLE, f"Send Accept: {EVENT_STREAM}.")
        content = await bodies.read(http.headers, receive)
        if content is not bodies.GONE:
            ask = bodies.ask(content)
            await self._serve(http, ask, Events(ask.tool), asked_for=True)

    async def lines(self, scope: Scope, receive: Receive, send: Send, content: Any) -> None:
        """One call as NDJSON, of a body that has been read: `/mcp` leads here."""
        request = Request.of(scope)
        request.is_plain, request.message_id = True, None
        ask = bodies.ask(content)
        http = Http.of(scope, receive, send)
        await self._serve(http, ask, Lines(self._now), asked_for=True)

    # One call

    async def _serve(self, http: Http, ask: Ask, form: Form | None, *, asked_for: bool) -> None:
        gate.admit(http.principal, CALL)
        reply = self._reply(http, form)
        params: dict[str, Any] = {"name": ask.tool, "arguments": ask.arguments}
        if form is not None:
            params["_meta"] = {"progressToken": ID}
        call = self._call(http, CALL, params, reply)

        async def examine(backend: Backend, call: Call) -> None:
            await self._arguments.require(backend, call)
            if asked_for:
                await reply.admitted()

        call.examine = examine

        def document(result: bytes) -> bytes:
            return self._document(http, {"tool": ask.tool, "result": orjson.Fragment(result)})

        await reply.serve(self._result(call), document)

    async def _result(self, call: Call) -> bytes:
        return outcome(call, await self._answer(call))

    async def _answer(self, call: Call) -> bytes:
        try:
            return await self._dispatcher.result(Era.OLDER, call)
        except RpcError as failure:
            raise _refusal(failure) from failure

    def _reply(self, http: Http, form: Form | None) -> PlainReply:
        return PlainReply(
            http.receive,
            http.send,
            self._ticker,
            request=Request.of(http.scope),
            form=form,
            error_body=self._error_body,
        )

    def _call(self, http: Http, method: str, params: dict[str, Any], channel: PlainReply) -> Call:
        return Call(method, params, ID, ASSUMED, http.principal, http.scope, channel)

    def _document(self, http: Http, content: dict[str, Any]) -> bytes:
        request_id = Request.of(http.scope).id
        return orjson.dumps(
            {"apiVersion": API_VERSION, "success": True, **content, "requestId": request_id}
        )


def _refusal(failure: RpcError) -> Refused:
    """Make a refusal of an error; one that says its own code keeps it."""
    data = failure.data if isinstance(failure.data, dict) else {}
    named = data.get("code")
    if isinstance(named, str) and named in Problem.__members__:
        more = {name: value for name, value in data.items() if name not in OURS}
        return Refused(Problem[named], failure.message, details=more)
    problem = PROBLEMS.get(failure.code, Problem.TOOL_REFUSED)
    return Refused(problem, "" if problem is Problem.INTERNAL else failure.message)


OURS = frozenset({"code", "message", "requestId", "correlationId", "timestamp"})
"""Members that the error body writes itself."""
