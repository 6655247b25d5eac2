"""`/rpc`: JSON-RPC 2.0 over HTTP, for clients that know methods and no transport of MCP."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from breakwater_contract.mcp import HANDSHAKE_PROTOCOL_VERSIONS, METHOD_NOT_FOUND
from breakwater_contract.names import MCP_PATH
from breakwater_runtime.calls import Call, Principal, Problem, Refused, Request, RpcError
from breakwater_runtime.protocol import body, eras, framing
from breakwater_runtime.protocol.conversation import Message, understand
from breakwater_runtime.protocol.dispatch import Dispatcher, failed, refused
from breakwater_runtime.protocol.eras import Era
from breakwater_runtime.protocol.headers import McpHeaders, accepted, is_json
from breakwater_runtime.protocol.reply import Final, Reply
from breakwater_runtime.protocol.ticker import Ticker
from breakwater_runtime.tools import gate

BATCH_MAX = 100
"""How many messages a body may have."""

ASSUMED = HANDSHAKE_PROTOCOL_VERSIONS[-1]
"""The version of whoever names none: the newest that needs no more than JSON-RPC has."""

NEEDS_A_STREAM = frozenset({"subscriptions/listen"})


class JsonReply(Reply):
    """An answer to a client that takes JSON and nothing else: what is said before it is lost."""

    async def notify(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Do nothing."""

    def tick(self, now: float) -> None:
        """Do nothing: there is no stream to keep alive."""


class JsonRpc:
    """Answers requests and batches of them; every one passes the gate by itself.

    A message says in `_meta` that it is of today's era; the others are of the version in
    `MCP-Protocol-Version`, or of the newest before today's.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        ticker: Ticker,
        charge: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Have requests answered by a dispatcher; `charge` each of a batch to its principal."""
        self._dispatcher = dispatcher
        self._ticker = ticker
        self._charge = charge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one body.

        Raises:
            Refused: It is not understood, or a policy or a limit stands against it.
        """
        request = Request.of(scope)
        principal = request.principal
        if principal is None:  # an endpoint without authentication in front: fail closed
            raise Refused(Problem.UNAUTHENTICATED)
        headers = McpHeaders(scope["headers"], request.headers)
        if not is_json(headers.content_type):
            raise Refused(Problem.UNSUPPORTED_MEDIA_TYPE)
        takes_json, takes_events = accepted(headers.accept or b"*/*")
        if not takes_json:
            raise Refused(Problem.NOT_ACCEPTABLE, "Send Accept: application/json.")
        content = await body.read(receive)
        if content is None:
            return
        # `*/*` is what clients send that did not think of it.
        streams = takes_events and b"text/event-stream" in headers.accept
        reply = (Reply if streams else JsonReply)(receive, send, self._ticker)
        post = Post(self, scope, principal, headers, reply)
        parsed = framing.parse(content)
        if type(parsed) is list:
            await post.answer_all(parsed, send)
        else:
            await post.answer(parsed, send)

    async def result(self, message: Message, call: Call) -> tuple[int, bytes]:
        """Have one request answered.

        Raises:
            Refused: A policy or a limit stands against it.
        """
        if call.method in NEEDS_A_STREAM:
            failure = RpcError(METHOD_NOT_FOUND, f"{call.method} is served at {MCP_PATH}")
            return failed(message.era, call.id, failure)
        return await self._dispatcher.answer(message.era, call)

    async def charge(self, principal: Principal) -> None:
        """Charge one request more than the HTTP request that it came in.

        Raises:
            Refused: There have been too many.
        """
        waiting = self._charge(principal.name)
        if isinstance(waiting, Awaitable):
            await waiting


class Post:
    """One body and who sent it."""

    def __init__(
        self,
        endpoint: JsonRpc,
        scope: Scope,
        principal: Principal,
        headers: McpHeaders,
        reply: Reply,
    ) -> None:
        """Answer by `reply`."""
        self._endpoint = endpoint
        self._scope = scope
        self._principal = principal
        self._headers = headers
        self._reply = reply

    async def answer(self, content: Any, send: Send) -> None:
        """Answer one message."""
        request = Request.of(self._scope)
        if type(content) is dict and framing.is_id(content.get("id")):
            request.message_id = content["id"]
        try:
            message = self._checked(content)
            if message.id is None:
                await body.accept(send)
                return
            await self._reply.answer(self._one(message))
        except Refused as refusal:
            refusal.message_id = request.message_id
            raise

    async def answer_all(self, contents: list[Any], send: Send) -> None:
        """Answer each message of a batch, whatever becomes of the others.

        Raises:
            Refused: One of them is no message, or there are too many.
        """
        if not 0 < len(contents) <= BATCH_MAX:
            message = f"A batch has 1 to {BATCH_MAX} messages."
            raise Refused(Problem.INVALID_MESSAGE, message)
        messages = [self._checked(content) for content in contents]
        if any(message.is_request for message in messages):
            await self._reply.answer(self._all(messages))
        else:
            await body.accept(send)

    def _checked(self, content: Any) -> Message:
        message = understand(content)
        if message.method is None:  # an answer, and nothing was asked
            raise Refused(Problem.INVALID_MESSAGE)
        self._check_headers(message, message.method)
        gate.admit(self._principal, message.method)
        return message

    def _check_headers(self, message: Message, method: str) -> None:
        """Hold a message against headers that nobody has to send here.

        Who reads them on the way must not be misled.

        Raises:
            Refused: One is there that says something else.
        """
        headers, named = self._headers, eras.NAMED_BY.get(method)
        said: dict[str, tuple[str | None, Any]] = {"Mcp-Method": (headers.method, method)}
        if named:
            name = headers.name and (eras.decoded(headers.name) or "")
            said["Mcp-Name"] = (name, (message.params or {}).get(named))
        if message.era is Era.MODERN:
            said["MCP-Protocol-Version"] = (headers.version, message.version)
        for header, (value, meant) in said.items():
            if value is not None and value != meant:
                raise Refused(
                    Problem.HEADER_MISMATCH, f"The header {header} does not agree with the body."
                )

    async def _one(self, message: Message) -> Final:
        status, answer = await self._result(message)
        return Final(status, (answer,))

    async def _all(self, messages: list[Message]) -> Final:
        requests = [message for message in messages if message.is_request]
        answers = await asyncio.gather(*(self._in_batch(*each) for each in enumerate(requests)))
        return Final(200, answers, batch=True)

    async def _in_batch(self, number: int, message: Message) -> bytes:
        try:
            if number:
                await self._endpoint.charge(self._principal)
            _, answer = await self._result(message)
        except Refused as refusal:
            answer = refused(message.id, refusal)
        return answer

    async def _result(self, message: Message) -> tuple[int, bytes]:
        try:
            version = self._version(message)
        except RpcError as failure:
            return failed(message.era, message.id, failure)
        call = Call(
            method=str(message.method),
            params=message.params,
            call_id=message.id if message.id is not None else "",
            version=version,
            principal=self._principal,
            scope=self._scope,
            channel=self._reply,
        )
        return await self._endpoint.result(message, call)

    def _version(self, message: Message) -> str:
        """Say which version a message is of.

        Raises:
            RpcError: One that is not served.
        """
        if message.era is Era.MODERN:
            version = eras.stated_version(message.params)
            eras.check_served(version)
            return version
        if eras.of(self._headers.version) is Era.MODERN:
            # The header says that `_meta` says what it does not say.
            return eras.stated_version(message.params)
        return self._headers.version or ASSUMED
