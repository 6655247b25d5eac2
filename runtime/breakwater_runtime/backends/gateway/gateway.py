"""Several backends, served as one: each request goes to the one that it is for."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from breakwater_contract.gateway import Gateway as Settings
from breakwater_contract.mcp import INVALID_PARAMS, METHOD_NOT_FOUND
from breakwater_runtime.backends.backend import Deliver, Finding, PoolUse, Subscription
from breakwater_runtime.backends.codec.greeting import DISCOVER, INITIALIZE
from breakwater_runtime.backends.gateway import about, lists, meta
from breakwater_runtime.backends.gateway.about import About
from breakwater_runtime.backends.gateway.errors import failed, for_era
from breakwater_runtime.backends.gateway.listening import Changes, Ears, tell_all
from breakwater_runtime.backends.gateway.lists import KINDS, Lists, Part
from breakwater_runtime.backends.gateway.members import Member, Members
from breakwater_runtime.backends.gateway.own_tools import OwnTools
from breakwater_runtime.backends.gateway.peers import SET_LEVEL, GatewayPeer
from breakwater_runtime.backends.gateway.resources import Owners
from breakwater_runtime.backends.gateway.routes import Routes
from breakwater_runtime.calls import Call, Channel, Peer, Problem, Refused, RpcError

logger = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[bytes]]


class Gateway:
    """Serves several backends as one."""

    def __init__(
        self,
        members: Sequence[Member],
        settings: Settings,
        server_info: Mapping[str, Any],
        hold: Callable[[bytes], bytes] = lambda result: result,
    ) -> None:
        """Serve `members`.

        Args:
            members: The backends, in the order in which names that clash are decided.
            settings: How they are served.
            server_info: What is said of the server as a whole.
            hold: Refuses a result that is too large.
        """
        self.name = str(server_info.get("name") or "gateway")
        self._members = Members(members)
        self._backends = self._members.backends
        self._server_info = server_info
        self._hold = hold
        self._lists_all = settings.catalogue != "OnDemand"
        self._meta = meta.META_TOOLS if settings.catalogue != "Merged" else {}
        self._owners = Owners()
        self._about = About(self._members)
        self._changes = Changes(lambda: self._members.state)
        self._lists = Lists(self._members, self._owners, self._changes.tell)
        own, routes = OwnTools(self._members, self._lists), Routes(self._members, self._owners)
        self._own: Mapping[str, Handler] = {
            meta.LIST_SERVERS: own.list_servers,
            meta.GET_SERVER_TOOLS: own.get_server_tools,
            meta.EXECUTE_TOOL: own.execute_tool,
        }
        self._table: Mapping[str, Handler] = {
            INITIALIZE: self._initialize,
            DISCOVER: self._discover,
            "ping": self._pong,
            SET_LEVEL: self._set_level,
            **dict.fromkeys(KINDS, self._list),
            "tools/call": self._call_tool,
            "prompts/get": routes.prompt,
            "completion/complete": routes.completion,
            "resources/read": routes.resource,
            "resources/subscribe": routes.resource,
            "resources/unsubscribe": routes.resource,
        }

    # Health

    @property
    def fault(self) -> str | None:
        """Why none of them can answer; None: one can."""
        faults = [(backend.name, backend.fault) for backend in self._backends]
        if not all(fault for _, fault in faults):
            return None
        return "; ".join(f"{name}: {fault}" for name, fault in faults)

    @property
    def findings(self) -> Sequence[Finding]:
        """What somebody should know about any of them."""
        return [finding for backend in self._backends for finding in backend.findings]

    @property
    def lost_threads(self) -> int:
        """How many synchronous tools go on although nobody waits for them."""
        return sum(backend.lost_threads for backend in self._backends)

    @property
    def pools(self) -> Mapping[str, PoolUse]:
        """How much of their pools is in use."""
        return {
            f"{backend.name}/{name}": use
            for backend in self._backends
            for name, use in backend.pools.items()
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start them, and stop them at the end."""
        async with AsyncExitStack() as stack:
            for backend in self._backends:
                await stack.enter_async_context(backend.running())
            stack.callback(self._lists.close)
            yield

    # Requests

    async def answer(self, call: Call) -> bytes:
        """Answer a request, or have the backend answer that it is for.

        Raises:
            RpcError: There is no result.
            Refused: A policy or a limit stands against it.
        """
        try:
            return await self._table.get(call.method, _unknown)(call)
        except (RpcError, Refused) as failure:
            raise for_era(call, failure) from failure

    async def _initialize(self, call: Call) -> bytes:
        if isinstance(call.peer, GatewayPeer):
            call.peer.initialize = call.params or {}
        said = await self._about.all(modern=False)
        return about.initialized(said, self._server_info, call.params)

    async def _discover(self, _call: Call) -> bytes:
        return about.discovered(await self._about.all(modern=True), self._server_info)

    async def _pong(self, _call: Call) -> bytes:
        return b"{}"

    async def _set_level(self, call: Call) -> bytes:
        peer = call.peer
        if isinstance(peer, GatewayPeer):
            peer.level = call.params
            for number in peer.greeted:
                try:
                    await self._members.answer(number, call.again())
                except RpcError:
                    logger.info("no log level", extra={"backend": self._backends[number].name})
        return b"{}"

    async def _list(self, call: Call) -> bytes:
        kind = KINDS[call.method]
        if (call.params or {}).get("cursor") is not None:
            raise RpcError(INVALID_PARAMS, "There is one page; leave the cursor out.")
        are_tools = kind.member == "tools"
        parts = [Part([*self._meta.values()], is_public=True)] if are_tools and self._meta else []
        found = await self._lists.parts(call) if self._lists_all or not are_tools else []
        there = [part for part in found if part is not None]
        if found and not there:
            said = "None of the backends can answer."
            raise failed(Problem.SERVER_UNAVAILABLE, said, retryable=True)
        missing = [self._backends[n].name for n, part in enumerate(found) if part is None]
        result = lists.merged(call, kind, [*parts, *there], self._server_info, missing)
        return self._hold(result)

    async def _call_tool(self, call: Call) -> bytes:
        name = (call.params or {}).get("name")
        if type(name) is not str:
            raise RpcError(INVALID_PARAMS, "params.name must be a string")
        if name in self._meta:
            return await self._call_own(name, call)
        number = self._members.with_tool(name)
        if number is None:
            said = name[:128]
            raise failed(Problem.TOOL_NOT_FOUND, f"There is no tool {said}.", tool=said)
        return await self._members.answer(number, call)

    async def _call_own(self, name: str, call: Call) -> bytes:
        if call.examine is not None and name != meta.EXECUTE_TOOL:
            await call.examine(self, call)
        try:
            return self._hold(await self._own[name](call))
        except meta.WrongArgumentsError as error:
            return meta.wrong(call, str(error))

    # Changes

    def listen(self, call: Call, deliver: Deliver) -> Subscription | None:
        """Listen to all of them.

        Raises:
            Refused: The policies do not allow it.
        """
        wanted = (call.params or {}).get("notifications")
        if not isinstance(wanted, dict):
            return None
        ears = Ears(call, deliver, wanted)
        owners = {uri: self._owners.of(uri) for uri in ears.uris}
        try:
            for number, backend in enumerate(self._backends):
                ears.hear(backend, [uri for uri in ears.uris if owners[uri] in {None, number}])
        except BaseException:
            ears.close()
            raise
        ears.begin()
        self._changes.add(ears.lists_changed)

        def close() -> None:
            self._changes.discard(ears.lists_changed)
            ears.close()

        return Subscription(ears.result(self._server_info), close)

    async def note(self, call: Call) -> None:
        """Pass a notification on to those who know the session."""
        peer = call.peer
        if call.method == "notifications/initialized" or not isinstance(peer, GatewayPeer):
            return
        for number in peer.greeted:
            its = call.again()
            its.peer = peer.known(number)
            await self._backends[number].note(its)

    def end_streams(self) -> None:
        """Tell listeners that nothing more will come."""
        for backend in self._backends:
            backend.end_streams()

    # What the endpoints want to know

    @property
    def tools(self) -> Collection[str]:
        """The names of all tools."""
        names = dict.fromkeys(self._meta)
        for backend in self._backends:
            names |= dict.fromkeys(backend.tools)
        return names.keys()

    def has_tool(self, name: str) -> bool:
        """Say whether there is a tool of this name."""
        return name in self._meta or any(backend.has_tool(name) for backend in self._backends)

    def may_have_tool(self, name: str) -> bool:
        """Say whether there could be one."""
        return name in self._meta or any(each.may_have_tool(name) for each in self._backends)

    def input_schema(self, tool: str) -> Mapping[str, Any] | None:
        """Get the schema of a tool's arguments; None: not known."""
        if tool in self._meta:
            schema: Mapping[str, Any] = self._meta[tool]["inputSchema"]
            return schema
        number = self._members.with_tool(tool)
        return None if number is None else self._backends[number].input_schema(tool)

    def declares_headers(self, tool: str) -> bool:
        """Say whether a tool has arguments that clients repeat as headers."""
        number = None if tool in self._meta else self._members.with_tool(tool)
        return number is not None and self._backends[number].declares_headers(tool)

    def mismatch(self, call: Call, headers: Sequence[tuple[str, str]]) -> str | None:
        """Say which header does not agree with the tool's arguments."""
        number = self._members.with_tool(str((call.params or {}).get("name")))
        return None if number is None else self._backends[number].mismatch(call, headers)

    # Sessions

    def needs_session(self, capabilities: Mapping[str, Any]) -> bool:
        """Say whether a client could miss something without a session."""
        return any(backend.needs_session(capabilities) for backend in self._backends)

    def connect(self, session_id: str, channel: Channel) -> Peer:
        """Begin a session of an older client."""

        def tell() -> None:
            self._changes.spawn(tell_all(channel))

        self._changes.add(tell)
        return GatewayPeer(self._backends, session_id, channel, lambda: self._changes.discard(tell))


async def _unknown(call: Call) -> bytes:
    raise RpcError(METHOD_NOT_FOUND, "Method not found", call.method)
