"""`/mcp`: Streamable HTTP, 2026-07-28 and before."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.backends.nowhere import Nowhere
from breakwater_runtime.calls import Call, Principal, Problem, Refused, Request, RpcError
from breakwater_runtime.protocol import body, eras, framing, streams
from breakwater_runtime.protocol.dispatch import Dispatcher, failed, refused
from breakwater_runtime.protocol.eras import Era
from breakwater_runtime.protocol.headers import McpHeaders, accepted, is_json, kinds
from breakwater_runtime.protocol.listeners import Listener, Listeners
from breakwater_runtime.protocol.plain import bodies
from breakwater_runtime.protocol.plain.forms import NDJSON
from breakwater_runtime.protocol.reply import Final, Reply
from breakwater_runtime.protocol.session_reply import SessionReply
from breakwater_runtime.protocol.session_watch import SessionWatch
from breakwater_runtime.protocol.sessions import Ids, Session, SessionLimits, Sessions
from breakwater_runtime.protocol.sharing import Sharing
from breakwater_runtime.protocol.ticker import Ticker
from breakwater_runtime.tools import gate
from breakwater_runtime.tools.watch import Watch

BATCH_MAX = 100
"""How many messages a body may have."""

LISTEN = "subscriptions/listen"

NO_NEW_SESSIONS = "This replica stops, and begins no sessions any more."
ANYTHING = b"*/*"
LINES = frozenset({NDJSON, "*/*"})

Lines = Callable[[Scope, Receive, Send, Any], Awaitable[None]]
"""Answers a body that names a tool and is no JSON-RPC, as lines."""

NO_SESSIONS = {"allow": "POST"}
WITH_SESSION = {"allow": "GET, POST, DELETE"}


class Post:
    """One POST on its way."""

    __slots__ = ("headers", "principal", "receive", "request", "scope", "send", "session")

    # By hand: what a dataclass makes is not compiled.
    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        request: Request,
        principal: Principal,
        headers: McpHeaders,
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.request = request
        self.principal = principal
        self.headers = headers
        self.session: Session | None = None

    @property
    def version(self) -> str:
        """The revision that the client speaks."""
        if self.session is not None and self.session.version:
            return self.session.version
        return self.headers.version or eras.BATCHES


class StreamableHttp:
    """The endpoint of Streamable HTTP.

    Every refusal is a JSON-RPC error: a 400 or 404 without one makes clients that try the newest
    protocol first believe that the server is an old one.
    """

    def __init__(
        self,
        backend: Backend,
        ids: Ids,
        session_limits: Callable[[], SessionLimits] = SessionLimits,
        *,
        watch: Watch | None = None,
        gives_sessions: Callable[[], bool] = lambda: True,
        sharing: Sharing | None = None,
        session_watch: SessionWatch | None = None,
        is_draining: Callable[[], bool] = lambda: False,
        lines: "Lines | None" = None,
        takes_lines: Callable[[], bool] = lambda: False,
        ticker: Ticker | None = None,
        charge: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Serve one backend; `sharing` knows where the sessions of other pods are.

        `charge` charges each request of a batch to its principal.
        """
        self._charge = charge
        self._is_draining = is_draining
        self._backend = backend
        self._gives_sessions = gives_sessions
        self._lines = lines
        self._takes_lines_now = takes_lines
        self._dispatcher = Dispatcher(backend, watch)
        self._ticker = ticker or Ticker()
        self._listeners = Listeners(self._ticker)
        self._sessions = Sessions(ids, self._ticker, session_limits, session_watch)
        self._sharing = sharing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request.of(scope)
        principal = request.principal
        if principal is None:  # a door without authentication in front: fail closed
            raise Refused(Problem.UNAUTHENTICATED)
        headers = McpHeaders(scope["headers"], request.headers)
        post = Post(scope, receive, send, request, principal, headers)
        if headers.session is not None and (owner := self._owner(post)) is not None:
            await owner(scope, receive, send)
        elif scope["method"] == "POST":
            await self._post(post)
        else:
            await self._on_session(post)

    def _owner(self, post: Post) -> ASGIApp | None:
        """Find the way to the pod that has the session; None: if any, it is this one."""
        session, sharing = post.headers.session, self._sharing
        if sharing is None or session is None or session in self._sessions:
            return None
        if eras.of(post.headers.version) is Era.MODERN or post.request.forwarded:
            return None
        return sharing.way_to(session, post.principal.name)

    @property
    def sessions(self) -> int:
        """How many sessions there are."""
        return len(self._sessions)

    def end_streams(self) -> None:
        """Tell listeners that nothing more will come; their streams end well."""
        self._backend.end_streams()
        if self._sharing is not None and self._sharing.here.address:
            self._sessions.move_streams()
        else:
            self._sessions.end_streams()
        self._listeners.end()

    async def sessions_over(self) -> None:
        """Wait until there is no session."""
        await self._sessions.over()

    def end_sessions(self) -> None:
        """End every session; their streams end well."""
        self._sessions.end_all()

    # Bodies

    async def _post(self, post: Post) -> None:
        takes_json, takes_events = accepted(post.headers.accept)
        if not is_json(post.headers.content_type):
            raise Refused(Problem.UNSUPPORTED_MEDIA_TYPE)
        is_mcp = takes_json and takes_events
        if not is_mcp and not self._takes_lines(post):
            raise Refused(Problem.NOT_ACCEPTABLE)
        sent = await body.read(post.receive)
        if sent is None:
            return
        content = framing.parse(sent)
        if self._lines is not None and bodies.is_ask(content) and self._takes_lines(post):
            await self._lines(post.scope, post.receive, post.send, content)
            return
        if not is_mcp:
            raise Refused(Problem.NOT_ACCEPTABLE)
        if type(content) is list:
            await self._batch(post, content)
            return
        if type(content) is not dict:
            raise Refused(Problem.INVALID_MESSAGE)
        message_id = content.get("id")
        request = post.request
        request.message_id = message_id if framing.is_id(message_id) else None
        try:
            if eras.of(post.headers.version) is Era.MODERN:
                await self._modern(post, content)
            else:
                await self._older(post, content)
        except Refused as refusal:
            refusal.message_id = request.message_id
            raise

    def _takes_lines(self, post: Post) -> bool:
        wanted = not kinds(post.headers.accept or ANYTHING).isdisjoint(LINES)
        return wanted and self._takes_lines_now()

    # 2026-07-28

    async def _modern(self, post: Post, message: dict[str, Any]) -> None:
        method, params, has_id = framing.checked(message)
        if method is None:  # an answer, and nothing was asked
            raise Refused(Problem.INVALID_MESSAGE)
        if post.headers.repeated:
            raise Refused(
                Problem.HEADER_MISMATCH,
                f"The header {post.headers.repeated} stands there more than once.",
            )
        message_id = message["id"] if has_id else None
        try:
            if has_id:
                eras.check_modern(post.headers, method, params)
            else:
                eras.check_served(str(post.headers.version))
        except RpcError as failure:
            await body.answer(post.send, *failed(Era.MODERN, message_id, failure))
            return
        gate.admit(post.principal, method)
        if message_id is None:
            # There is nothing that it could change: a call is cancelled by its connection.
            await body.accept(post.send)
            return
        reply = Reply(post.receive, post.send, self._ticker)
        version = str(post.headers.version)
        call = Call(method, params, message_id, version, post.principal, post.scope, reply)
        if method == LISTEN and await self._listen(post, call):
            return
        await reply.answer(self._one(Era.MODERN, call, post.headers))

    async def _listen(self, post: Post, call: Call) -> bool:
        """Serve a stream of changes; False: the backend serves it as any other request."""
        listener = Listener(post.receive, post.send, self._ticker)
        subscription = self._backend.listen(call, listener.deliver)
        if subscription is None:
            return False
        self._listeners.add(listener)
        try:
            await listener.serve(subscription, call.id)
        finally:
            self._listeners.discard(listener)
        return True

    async def _one(self, era: Era, call: Call, headers: McpHeaders) -> Final:
        status, message = await self._dispatcher.answer(era, call, headers)
        return Final(status, (message,))

    # 2025-11-25 and before

    async def _older(self, post: Post, message: dict[str, Any]) -> None:
        self._admit_older(post, message)
        if post.headers.session is not None:
            post.session = self._sessions.find(post.headers.session, post.principal.name)
        if "method" not in message or "id" not in message:
            await self._note(post, message)
            await body.accept(post.send)
        elif message["method"] == "initialize":
            await self._initialize(post, message)
        else:
            reply, call = self._reply(post), self._call(post, message)
            call.channel = reply
            await self._answer_older(post, reply, call)

    def _admit_older(self, post: Post, message: Any) -> None:
        if type(message) is not dict:
            raise Refused(Problem.INVALID_MESSAGE)
        method, params, _ = framing.checked(message)
        eras.check_older(post.headers, params.get("_meta") if params else None)
        gate.admit(post.principal, "response" if method is None else method)

    async def _answer_older(self, post: Post, reply: Reply, call: Call) -> None:
        key = (type(call.id), call.id)
        calls = post.session.calls if post.session is not None else {}
        calls.setdefault(key, []).append(reply)
        try:
            await reply.answer(self._one(Era.OLDER, call, post.headers))
        finally:
            calls[key].remove(reply)
            if not calls[key]:
                del calls[key]

    async def _initialize(self, post: Post, message: dict[str, Any]) -> None:
        params = message.get("params") or {}
        capabilities = params.get("capabilities")
        known = capabilities if isinstance(capabilities, dict) else {}
        if post.session is None and self._gives_sessions() and self._backend.needs_session(known):
            if self._is_draining():
                await self._hand_on(post, message)
                return
            post.session = session = self._sessions.begin(post.principal.name)
            session.peer = self._backend.connect(session.id, session)
        reply = Reply(post.receive, post.send, self._ticker)
        call = self._call(post, message)
        call.channel = reply
        await reply.answer(self._handshake(post, reply, call))

    async def _hand_on(self, post: Post, message: dict[str, Any]) -> None:
        """Have another pod begin the session; this one ends soon.

        Raises:
            Refused: None is known. The client asks again, and does not find us any more.
        """
        if self._sharing is None or post.request.forwarded:
            raise Refused(Problem.SHUTTING_DOWN, NO_NEW_SESSIONS, retry_after=1)
        sent = framing.dumps(message)
        if not await self._sharing.hand_on(post.scope, again(sent, post.receive), post.send):
            raise Refused(Problem.SHUTTING_DOWN, NO_NEW_SESSIONS, retry_after=1)

    async def _handshake(self, post: Post, reply: Reply, call: Call) -> Final:
        status, answer = await self._dispatcher.answer(Era.OLDER, call, post.headers)
        session, content = post.session, orjson.loads(answer)
        if session is not None and "result" in content:
            session.version = content["result"]["protocolVersion"]
            reply.headers.append((b"mcp-session-id", session.id.encode()))
        elif session is not None and not session.version:
            self._sessions.end(session, "handshake")
        return Final(status, (answer,))

    async def _note(self, post: Post, message: dict[str, Any]) -> None:
        """Take what is no request: a notification, or the answer to a question."""
        session = post.session
        if "method" not in message:
            if session is not None:
                session.questions.answered(message)
        elif message["method"] == "notifications/cancelled":
            params = message.get("params") or {}
            if session is not None:
                session.cancel_call(params.get("requestId"))
        else:
            await self._backend.note(self._call(post, message))

    async def _batch(self, post: Post, messages: list[Any]) -> None:
        """Answer the messages of one body; 2025-03-26 alone had such."""
        if not messages or (post.headers.version or eras.BATCHES) != eras.BATCHES:
            raise Refused(Problem.INVALID_MESSAGE)
        if len(messages) > BATCH_MAX:
            raise Refused(
                Problem.INVALID_MESSAGE, f"A batch may have {BATCH_MAX} messages at most."
            )
        for message in messages:
            self._admit_older(post, message)
            if message.get("method") == "initialize":
                raise Refused(Problem.INVALID_MESSAGE, "initialize cannot be part of a batch.")
        if post.headers.session is not None:
            post.session = self._sessions.find(post.headers.session, post.principal.name)
        requests = []
        for message in messages:
            if "method" in message and "id" in message:
                requests.append(message)
            else:
                await self._note(post, message)
        if not requests:
            await body.accept(post.send)
            return
        reply = self._reply(post)
        calls = [self._call(post, message) for message in requests]
        for call in calls:
            call.channel = reply
        await reply.answer(self._all(calls, post.headers))

    async def _all(self, calls: list[Call], headers: McpHeaders) -> Final:
        answers = (self._in_batch(*each, headers) for each in enumerate(calls))
        return Final(200, await asyncio.gather(*answers), batch=True)

    async def _in_batch(self, number: int, call: Call, headers: McpHeaders) -> bytes:
        try:
            if number:  # the HTTP request paid for the first
                waiting = self._charge(call.principal.name)
                if isinstance(waiting, Awaitable):
                    await waiting
        except Refused as refusal:
            return refused(call.id, refusal)
        return await self._dispatcher.answer_in_batch(call, headers)

    def _reply(self, post: Post) -> Reply:
        if post.session is None:
            return Reply(post.receive, post.send, self._ticker)
        return SessionReply(post.receive, post.send, self._ticker, post.session)

    def _call(self, post: Post, message: dict[str, Any]) -> Call:
        return Call(
            method=message["method"],
            params=message.get("params"),
            call_id=message.get("id", ""),
            version=post.version,
            principal=post.principal,
            scope=post.scope,
            channel=Nowhere() if post.session is None else post.session,
            peer=None if post.session is None else post.session.peer,
        )

    # GET and DELETE

    async def _on_session(self, post: Post) -> None:
        if post.headers.session is None or eras.of(post.headers.version) is Era.MODERN:
            raise Refused(Problem.METHOD_NOT_ALLOWED, headers=NO_SESSIONS)
        session = self._sessions.find(post.headers.session, post.principal.name)
        if post.scope["method"] == "GET":
            await self._resume(post, session)
        elif post.scope["method"] == "DELETE":
            self._sessions.end(session)
            await body.answer(post.send, 200, b"")
        else:
            raise Refused(Problem.METHOD_NOT_ALLOWED, headers=WITH_SESSION)

    async def _resume(self, post: Post, session: Session) -> None:
        _, takes_events = accepted(post.headers.accept)
        if not takes_events:
            raise Refused(Problem.NOT_ACCEPTABLE)
        if post.headers.last_event is None:
            stream, after = session.open_standalone(), -1
        else:
            stream, after = session.find_stream(post.headers.last_event)
        await post.send(
            {"type": "http.response.start", "status": 200, "headers": list(streams.HEADERS)}
        )
        through_peer = post.request.forwarded
        stream.attach(post.send, after, through_peer=through_peer)
        await stream.flush()
        while (await post.receive())["type"] != "http.disconnect":
            pass
        stream.detach(post.send)


def again(sent: bytes, receive: Receive) -> Receive:
    """Receive a body that was read before, and then what still comes."""
    parts = [{"type": "http.request", "body": sent, "more_body": False}]

    async def received() -> Message:
        return parts.pop() if parts else await receive()

    return received
