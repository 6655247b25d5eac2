"""A server in another container: asked over instances that callers share or have for themselves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_contract.backends import Reason
from breakwater_contract.mcp import METHOD_NOT_FOUND, MODERN_PROTOCOL_VERSIONS
from breakwater_contract.names import OPERATOR_PRINCIPAL
from breakwater_runtime.backends.backend import Deliver, Finding, PoolUse, Subscription
from breakwater_runtime.backends.codec import eras
from breakwater_runtime.backends.codec.greeting import DISCOVER, INITIALIZE, GreetingError, envelope
from breakwater_runtime.backends.codec.instance import (
    About,
    Instance,
    Sinks,
    is_untouched,
    unavailable,
)
from breakwater_runtime.backends.container import questions
from breakwater_runtime.backends.container.description import Description
from breakwater_runtime.backends.container.opening import Opening
from breakwater_runtime.backends.container.pool import Key, Pool, PoolLimits
from breakwater_runtime.backends.container.questions import Client
from breakwater_runtime.backends.container.spares import Spares
from breakwater_runtime.backends.container.transport import OpeningError, Transport
from breakwater_runtime.calls import Call, Channel, Peer, RpcError

logger = logging.getLogger(__name__)

NOBODY = ("", "")
"""Whose instance it is that tells whether the server is well; where all share one, it is theirs."""

TOOLS_CALL = "tools/call"
LISTEN = "subscriptions/listen"
AWAY = frozenset({Reason.STARTING, Reason.UNREACHABLE, Reason.CRASHING})
"""What the way to a server finds where nobody can be asked."""

LISTEN_AGAIN_SECONDS = 1.0
SWEEP_SECONDS = 15.0
RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 10.0


class Session:
    """What is kept of one session of an older client."""

    def __init__(self, backend: "ContainerBackend", client: Client) -> None:
        """Belong to a client."""
        self.client = client
        self.principal = ""
        self._backend = backend

    async def close(self) -> None:
        """Stop what the session had for itself."""
        self._backend.forget(self)


class ContainerBackend:
    """Serves a server behind a transport."""

    def __init__(self, name: str, settings: Settings, transport: Transport) -> None:
        """Serve it as the settings say."""
        self.name = name
        self._isolation = settings.isolation
        self._transport = transport
        self._sinks = Sinks(self._event, self._asked)
        limits = PoolLimits(settings.instances.max, settings.instances.idle.seconds)
        self._description = Description()
        self._sessions: dict[str, Session] = {}
        self._opening = Opening(
            transport,
            self._sinks,
            self._description,
            self._greeting,
            per_principal=self._isolation == "PerPrincipal",
        )
        self._spares = Spares(settings.instances.spares, self._opening.ahead, self._may_have_spare)
        self._pool = Pool(name, self._open, limits, self._spares)
        self._finding: Finding | None = Finding(Reason.STARTING, "it has not answered yet")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False

    # Health

    @property
    def fault(self) -> str | None:
        """Why it cannot answer now; None: it can."""
        findings = self.findings
        return findings[0].message if findings else None

    @property
    def findings(self) -> Sequence[Finding]:
        """What somebody should know about it."""
        own = (self._finding,) if self._finding is not None else ()
        return (*self._transport.findings, *own)

    @property
    def lost_threads(self) -> int:
        """None: its tools have processes of their own."""
        return 0

    @property
    def pools(self) -> Mapping[str, PoolUse]:
        """How many instances there are."""
        at_work = sum(1 for _, instance in self._pool.instances() if instance.calls)
        instances = PoolUse(at_work, len(self._pool), self._pool.limit, 0)
        spares = PoolUse(0, self._spares.waiting, self._spares.limit, 0)
        more = {"spares": spares} if self._spares.limit else {}
        return {"instances": instances, **more, **self._transport.pools}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep it going."""
        for work in (self._transport.run(), self._keep(), self._sweep(), self._spares.run()):
            self._spawn(work)
        try:
            yield
        finally:
            self._stopping = True
            await self._stop()

    async def _stop(self) -> None:
        self._pool.close_all()
        await self._transport.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self) -> None:
        """Keep the instance there that tells how the server is."""
        wait = RETRY_SECONDS
        while True:
            try:
                await self._transport.reachable()
                era = self._description.era
                instance = await self._pool.get((*NOBODY, era), patient=True)
                await self._describe(instance)
                self._pool.move((*NOBODY, era), (*NOBODY, instance.about.modern))
            except (RpcError, GreetingError) as error:
                self._found(error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, RETRY_SECONDS_MAX)
                continue
            self._finding, wait = None, RETRY_SECONDS
            self._spares.nudge()
            hearing = asyncio.ensure_future(self._hear_changes(instance))
            try:
                reason = await instance.wait_lost()
            finally:
                hearing.cancel()
            self._finding = Finding(Reason.CRASHING, f"{reason}; it is started again")

    async def _hear_changes(self, instance: Instance) -> None:
        """Have a server of the newest era say when its tools change; an older one does anyway."""
        tools = instance.about.capabilities.get("tools")
        if not (instance.about.modern and isinstance(tools, dict) and tools.get("listChanged")):
            return
        wanted = {"_meta": envelope({}), "notifications": {"toolsListChanged": True}}
        while True:
            try:
                await instance.request(LISTEN, wanted)
            except RpcError:
                return
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    def _found(self, error: Exception) -> None:
        if isinstance(error, GreetingError):
            self._finding = Finding(Reason.HANDSHAKE_FAILED, f"it does not speak MCP: {error}")
        else:
            cause = error.__cause__ if isinstance(error.__cause__, OpeningError) else None
            if cause is not None:
                self._finding = Finding(Reason.CRASHING, f"it could not be started: {cause}")
            elif self._finding is None:
                self._finding = Finding(Reason.CRASHING, getattr(error, "message", str(error)))

    async def _describe(self, instance: Instance) -> None:
        """Learn which tools there are."""
        if await self._description.learn(instance):
            self._transport.describe(self._description.tools)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._pool.close_idle()

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Calls

    async def answer(self, call: Call) -> bytes:
        """Answer a request.

        Raises:
            RpcError: There is no result.
        """
        modern = call.version in MODERN_PROTOCOL_VERSIONS
        method = call.method
        if modern and method in eras.REMOVED:
            raise RpcError(METHOD_NOT_FOUND, "Method not found", method)
        if method == DISCOVER and modern:
            return eras.discovered(await self._known())
        if method == INITIALIZE:
            return await self._initialize(call)
        if method == "ping":
            return b"{}"
        instance = self._pool.ready(self._key(call, modern)) or await self._get(call, modern)
        try:
            return await self._ask(instance, call, modern=modern)
        except RpcError as error:
            if instance.lost is None or not is_untouched(error):
                raise
        # It went away without having seen the call: nobody need know.
        return await self._ask(await self._get(call, modern), call, modern=modern)

    async def _ask(self, instance: Instance, call: Call, *, modern: bool) -> bytes:
        method = call.method
        if instance.about.modern == modern:
            result = await instance.request(method, call.params, call)
            raw = result.raw
        else:
            try:
                result = await instance.request(method, eras.params_for_older(call.params), call)
            except RpcError as error:
                raise eras.error_for_modern(error) from error
            raw = eras.result_for_modern(method, result, instance.about)
        if method == TOOLS_CALL and result.content.get("isError"):
            call.outcome = "caller_error"
        return raw

    def _key(self, call: Call, modern: bool) -> Key:
        """Say whose instance a call goes to; a server without the caller's era has one for all."""
        era = modern and bool(self._description.era)
        if self._isolation == "Shared" or call.principal.name == OPERATOR_PRINCIPAL:
            return ("", "", era)
        if self._isolation == "PerSession" and isinstance(call.peer, Session):
            return ("session", call.peer.client.session_id, era)
        return ("principal", call.principal.name, era)

    async def _get(self, call: Call, modern: bool) -> Instance:
        await self._known()
        if any(each.reason in AWAY for each in self._transport.findings):
            said = f"Backend {self.name} cannot be reached."
            raise unavailable(self.name, said, retryable=True)
        try:
            return await self._pool.get(self._key(call, modern))
        except GreetingError as error:
            said = f"Backend {self.name} does not serve clients of this era: {error}."
            raise unavailable(self.name, said, retryable=False) from error

    async def _known(self) -> About:
        """Get what the server said of itself, of which its era follows.

        Raises:
            RpcError: It never said anything.
        """
        about = self._description.about
        if about is None:
            # Not what was found: the log of a server is not for its callers.
            said = f"Backend {self.name} has not answered yet."
            raise unavailable(self.name, said, retryable=True)
        return about

    async def _initialize(self, call: Call) -> bytes:
        session = call.peer if isinstance(call.peer, Session) else None
        if session is not None:
            session.client.initialize = call.params or {}
            session.principal = call.principal.name
        instance = await self._get(call, modern=False)
        return eras.initialized(instance.about, call.params)

    async def _open(self, key: Key) -> Instance:
        return await self._opening.open(key, self._spares)

    def _greeting(self, session_id: str) -> Mapping[str, Any]:
        session = self._sessions.get(session_id)
        return session.client.initialize if session is not None else {}

    def _may_have_spare(self) -> bool:
        known = self._description.about is not None
        return known and self.fault is None and self._pool.has_room

    def listen(self, call: Call, deliver: Deliver) -> Subscription | None:  # noqa: ARG002 - as Backend has it
        """Have `answer` serve it: the server itself knows what changes."""
        return None

    async def note(self, call: Call) -> None:
        """Pass a notification of a client on to the instance that is its own."""
        if call.method == "notifications/initialized":
            return
        instance = self._pool.ready(self._key(call, modern=False))
        if instance is not None and self._isolation == "PerSession":
            await instance.notify(call.method, call.params)

    # What servers say and ask by themselves

    def _event(self, instance: Instance, method: str, params: dict[str, Any] | None) -> None:
        if method == "notifications/tools/list_changed" and not self._stopping:
            self._spawn(self._describe_again(instance))
        for session in list(self._sessions.values()):
            if self._pool.ready(self._key_of(session)) is instance:
                self._spawn(session.client.channel.notify(method, params))

    async def _describe_again(self, instance: Instance) -> None:
        try:
            await self._describe(instance)
        except RpcError:
            logger.info("a changed list could not be read", extra={"backend": self.name})

    def _key_of(self, session: Session) -> Key:
        if self._isolation == "Shared":
            return ("", "", False)
        if self._isolation == "PerSession":
            return ("session", session.client.session_id, False)
        return ("principal", session.principal, False)

    async def _asked(
        self, instance: Instance, method: str, params: dict[str, Any] | None, call: Call | None
    ) -> dict[str, Any]:
        shared = self._isolation == "Shared"
        return await questions.ask(instance, method, params, call, shared=shared)

    # What the endpoints want to know

    def has_tool(self, name: str) -> bool:
        """Say whether there is a tool of this name."""
        return name in self._description.names

    @property
    def tools(self) -> Collection[str]:
        """The names of the tools that there are, as far as is known."""
        return self._description.names

    def may_have_tool(self, name: str) -> bool:
        """Say whether there could be a tool of this name."""
        return self._description.may_have(name)

    def input_schema(self, tool: str) -> Mapping[str, Any] | None:
        """Get the schema of a tool's arguments; None: not known."""
        return self._description.input_schema(tool)

    def declares_headers(self, tool: str) -> bool:
        """Say whether a tool has arguments that clients repeat as `Mcp-Param-*`."""
        return self._description.declares_headers(tool)

    def mismatch(self, call: Call, headers: Sequence[tuple[str, str]]) -> str | None:
        """Say which `Mcp-Param-*` header does not agree with the tool's arguments; None: all do."""
        return self._description.mismatch(call, headers)

    def needs_session(self, capabilities: Mapping[str, Any]) -> bool:
        """Say whether an older client with these capabilities could miss something without one."""
        if self._isolation == "PerSession":
            return True
        own = self._description.capabilities
        if "logging" in own or any(
            isinstance(part, dict) and (part.get("listChanged") or part.get("subscribe"))
            for part in own.values()
        ):
            return True
        asks = any(name in capabilities for name in questions.NEEDED.values())
        return asks and self._isolation != "Shared"

    def connect(self, session_id: str, channel: Channel) -> Peer:
        """Begin a session of an older client."""
        session = Session(self, Client(session_id, channel))
        self._sessions[session_id] = session
        return session

    def forget(self, session: Session) -> None:
        """Let go of a session, and stop what it had for itself."""
        self._sessions.pop(session.client.session_id, None)
        self._pool.close_of("session", session.client.session_id)

    def end_streams(self) -> None:
        """Do nothing: listening is a call here, and ends as calls do."""
