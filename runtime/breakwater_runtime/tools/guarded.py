"""A backend as a caller may see it: what the policies deny is neither used nor listed."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

import orjson

from breakwater_runtime.backends import encoding
from breakwater_runtime.backends.backend import Backend, Deliver, Finding, PoolUse, Subscription
from breakwater_runtime.calls import Call, Channel, Peer
from breakwater_runtime.tools.bounds import Bounds
from breakwater_runtime.tools.policy import Kind
from breakwater_runtime.tools.policy_check import PolicyCheck

LISTEN = "subscriptions/listen"


class _Listed(NamedTuple):
    """Where a list stands in a result, and what names its items."""

    member: str
    name: str
    kind: Kind


LISTS: Mapping[str, _Listed] = {
    "tools/list": _Listed("tools", "name", Kind.TOOL),
    "prompts/list": _Listed("prompts", "name", Kind.PROMPT),
    "resources/list": _Listed("resources", "uri", Kind.RESOURCE),
    "resources/templates/list": _Listed("resourceTemplates", "uriTemplate", Kind.RESOURCE),
}

USES: Mapping[str, tuple[str, Kind]] = {
    "tools/call": ("name", Kind.TOOL),
    "prompts/get": ("name", Kind.PROMPT),
    "resources/read": ("uri", Kind.RESOURCE),
    "resources/subscribe": ("uri", Kind.RESOURCE),
}
"""Methods that use one thing, and the parameter that says which."""


class Guarded:
    """Puts the policies in front of a backend, for every door that leads to it."""

    def __init__(
        self,
        backend: Backend,
        check: PolicyCheck,
        bounds: Bounds,
        prefix: Callable[[], str] = str,
    ) -> None:
        """Guard `backend`, whose tools' and prompts' names begin with what `prefix` says."""
        self._prefix = prefix
        self._backend = backend
        self._check = check
        self._bounds = bounds
        self.name = backend.name

    @property
    def fault(self) -> str | None:
        """Why the backend cannot answer now."""
        return self._backend.fault

    @property
    def findings(self) -> Sequence[Finding]:
        """What somebody should know about the backend."""
        return self._backend.findings

    @property
    def lost_threads(self) -> int:
        """How many synchronous tools go on although nobody waits for them."""
        return self._backend.lost_threads

    @property
    def pools(self) -> Mapping[str, PoolUse]:
        """How much of its pools is in use."""
        return self._backend.pools

    def running(self) -> AbstractAsyncContextManager[None]:
        """Start the backend, and stop it at the end."""
        return self._backend.running()

    async def answer(self, call: Call) -> bytes:
        """Answer what the policies and limits allow; of lists, what the policies show.

        Raises:
            Refused: They do not allow it.
            RpcError: There is no result, or too large a one.
        """
        has_policies = self._check.is_needed
        if has_policies:
            self._require(call)
        waiting = self._bounds.charge(call)
        if waiting is not None:
            await waiting
        if call.examine is not None:
            await call.examine(self._backend, call)
        if call.method == LISTEN:  # it takes as long as its client wants to hear
            result = await self._backend.answer(call)
        else:
            result = await self._timed(call)
        if has_policies and (listed := LISTS.get(call.method)):
            result = self._shown(call, result, listed)
        result = self._bounds.hold(result)
        keeping = self._bounds.keep(call, self.name, result)
        if keeping is not None:
            await keeping
        return result

    async def _timed(self, call: Call) -> bytes:
        deadlines = self._bounds.deadlines
        deadline = deadlines.begin()
        try:
            return await self._backend.answer(call)
        except asyncio.CancelledError:
            deadlines.judge(deadline)
            raise
        finally:
            deadlines.end(deadline)

    def listen(self, call: Call, deliver: Deliver) -> Subscription | None:
        """Listen to what the policies allow.

        Raises:
            Refused: They do not allow it.
        """
        if self._check.is_needed:
            self._require(call)
        return self._backend.listen(call, deliver)

    def _require(self, call: Call) -> None:
        if call.method in USES:  # nearly all of them
            parameter, kind = USES[call.method]
            name = str((call.params or {}).get(parameter))
            self._check.require(call.principal, self.name, name, kind, also=self._also(name, kind))
            return
        for kind, name in _used(call):
            self._check.require(call.principal, self.name, name, kind, also=self._also(name, kind))

    def _also(self, name: str, kind: Kind) -> str:
        """Get what patterns may also mean: the name without the backend's prefix."""
        prefix = self._prefix()
        if not prefix or kind is Kind.RESOURCE or not name.startswith(prefix):
            return ""
        return name[len(prefix) :]

    def _lists(self, call: Call, name: str, kind: Kind) -> bool:
        return self._check.lists(call.principal, self.name, name, kind, also=self._also(name, kind))

    def _shown(self, call: Call, result: bytes, listed: _Listed) -> bytes:
        content = orjson.loads(result)
        content[listed.member] = [
            item
            for item in content.get(listed.member, ())
            if self._lists(call, str(item[listed.name]), listed.kind)
        ]
        if "cacheScope" in content:  # it is this caller's list, and not another's
            content["cacheScope"] = "private"
        return encoding.dumps(content)

    async def note(self, call: Call) -> None:
        """Take a notification."""
        await self._backend.note(call)

    @property
    def tools(self) -> Collection[str]:
        """The names of the tools that there are."""
        return self._backend.tools

    def has_tool(self, name: str) -> bool:
        """Say whether there is a tool of this name."""
        return self._backend.has_tool(name)

    def may_have_tool(self, name: str) -> bool:
        """Say whether there could be a tool of this name, as far as is known."""
        return self._backend.may_have_tool(name)

    def input_schema(self, tool: str) -> Mapping[str, Any] | None:
        """Get the schema of a tool's arguments; None: it is not known."""
        return self._backend.input_schema(tool)

    def declares_headers(self, tool: str) -> bool:
        """Say whether a tool has arguments that clients repeat as headers."""
        return self._backend.declares_headers(tool)

    def mismatch(self, call: Call, headers: Sequence[tuple[str, str]]) -> str | None:
        """Say which header does not agree with the tool's arguments.

        Of a tool that the caller may not use, nothing: `answer` refuses it, and says no more.
        """
        name = str((call.params or {}).get("name"))
        if self._check.is_needed and not self._lists(call, name, Kind.TOOL):
            return None
        return self._backend.mismatch(call, headers)

    def needs_session(self, capabilities: Mapping[str, Any]) -> bool:
        """Say whether a client could miss something without a session."""
        return self._backend.needs_session(capabilities)

    def connect(self, session_id: str, channel: Channel) -> Peer:
        """Begin a session."""
        return self._backend.connect(session_id, channel)

    def end_streams(self) -> None:
        """Tell listeners that nothing more will come."""
        self._backend.end_streams()


def _used(call: Call) -> Iterator[tuple[Kind, str]]:
    """Name what a call wants to use that says so in its own way."""
    params = call.params or {}
    if call.method == "completion/complete":
        yield from _completed(params.get("ref"))
    elif call.method == LISTEN:
        wanted = params.get("notifications")
        uris = wanted.get("resourceSubscriptions") if isinstance(wanted, dict) else None
        for uri in uris if isinstance(uris, list) else ():
            yield Kind.RESOURCE, str(uri)


def _completed(reference: Any) -> Iterator[tuple[Kind, str]]:
    if not isinstance(reference, dict):
        return
    if "uri" in reference:
        yield Kind.RESOURCE, str(reference["uri"])
    if "name" in reference:
        yield Kind.PROMPT, str(reference["name"])
