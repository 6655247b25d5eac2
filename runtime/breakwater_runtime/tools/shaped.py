"""A backend as its settings show it: some tools hidden, others renamed, described, or bound."""

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson

from breakwater_contract.backends import Reason
from breakwater_contract.gateway import Tools
from breakwater_contract.mcp import MODERN_PROTOCOL_VERSIONS
from breakwater_runtime.backends import encoding
from breakwater_runtime.backends.backend import Backend, Deliver, Finding, PoolUse, Subscription
from breakwater_runtime.calls import Call, Channel, Peer, Problem, RpcError
from breakwater_runtime.tools.shaping import Shaping

NAMED_MAX = 10
"""How many tools a message names."""

Params = dict[str, Any]


class Shaped:
    """Puts the settings of the moment before a backend."""

    def __init__(
        self, backend: Backend, settings: Callable[[], Tools | None], prefix: str = ""
    ) -> None:
        """Shape `backend`.

        Args:
            backend: The backend.
            settings: Says how; the same object while nothing changes.
            prefix: What stands before names where the settings do not say it.
        """
        self._backend = backend
        self._settings = settings
        self._prefix = prefix
        self._shaping = Shaping(settings(), prefix)
        self._lists: dict[str, tuple[Shaping, bytes, bytes]] = {}
        self.name = backend.name

    @property
    def shaping(self) -> Shaping:
        """The settings of the moment, compiled."""
        settings = self._settings()
        if settings is not self._shaping.settings:
            self._shaping = Shaping(settings, self._prefix)
        return self._shaping

    # Health

    @property
    def fault(self) -> str | None:
        """Why the backend cannot answer now."""
        return self._backend.fault

    @property
    def findings(self) -> Sequence[Finding]:
        """What somebody should know, tools that are missing among it."""
        findings = self._backend.findings
        if self._backend.fault is not None:
            return findings
        missing = [*self.shaping.missing(self._backend.tools)]
        if not missing:
            return findings
        there = sorted(self._backend.tools)
        message = (
            f"it has no tool {_named(missing)}; it has {_named(there) or 'none'}. Correct the "
            "names, or the server"
        )
        return (*findings, Finding(Reason.TOOLS_MISSING, message))

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

    # Requests

    def answer(self, call: Call) -> Coroutine[Any, Any, bytes]:
        """Answer a request in the backend's own words, and say it in ours.

        Raises:
            RpcError: There is no result.
        """
        shaping = self.shaping
        if shaping.changes_nothing:
            return self._backend.answer(call)
        return self._answer(shaping, call)

    async def _answer(self, shaping: Shaping, call: Call) -> bytes:
        method = call.method
        if method == "tools/call":
            return await self._call_tool(shaping, call)
        if method == "tools/list":
            return self._listed(method, "tools", shaping, await self._backend.answer(call))
        if method == "prompts/list":
            return self._listed(method, "prompts", shaping, await self._backend.answer(call))
        params = _unprefixed(shaping.prefix, call)
        if params is call.params:
            return await self._backend.answer(call)
        return await self._with(params, call)

    async def _with(self, params: Params | None, call: Call) -> bytes:
        """Answer a request with other parameters; who watches it sees those that were sent."""
        sent, call.params = call.params, params
        try:
            return await self._backend.answer(call)
        finally:
            call.params = sent

    async def _call_tool(self, shaping: Shaping, call: Call) -> bytes:
        params = call.params or {}
        shown = params.get("name")
        name = shaping.original(shown) if isinstance(shown, str) else None
        if name is None:
            raise not_found(str(shown), self.name)
        fixed, arguments = shaping.fixed(name), params.get("arguments")
        if fixed and isinstance(arguments, dict | None):
            arguments = arguments or {}
            if sent := sorted(arguments.keys() & fixed.keys()):
                return _refused(call, sent)
            params = {**params, "arguments": {**arguments, **fixed}}
        return await self._with({**params, "name": name}, call)

    def _listed(self, method: str, member: str, shaping: Shaping, result: bytes) -> bytes:
        known, source, made = self._lists.get(method, (None, b"", b""))
        if known is shaping and source == result:
            return made
        content = orjson.loads(result)
        items = content.get(member)
        if isinstance(items, list):
            looks = shaping.look if member == "tools" else _prefixer(shaping.prefix)
            content[member] = [seen for each in items if (seen := looks(each)) is not None]
        made = encoding.dumps(content)
        self._lists[method] = (shaping, result, made)
        return made

    def listen(self, call: Call, deliver: Deliver) -> Subscription | None:
        """Listen to the backend."""
        return self._backend.listen(call, deliver)

    async def note(self, call: Call) -> None:
        """Take a notification."""
        await self._backend.note(call)

    # Tools

    @property
    def tools(self) -> Collection[str]:
        """The names of the tools that are shown."""
        shaping = self.shaping
        if shaping.changes_nothing:
            return self._backend.tools
        return [shown for name in self._backend.tools if (shown := shaping.shown(name))]

    def has_tool(self, name: str) -> bool:
        """Say whether a tool of this name is shown."""
        original = self.shaping.original(name)
        return original is not None and self._backend.has_tool(original)

    def may_have_tool(self, name: str) -> bool:
        """Say whether a tool of this name could be shown, as far as is known."""
        original = self.shaping.original(name)
        return original is not None and self._backend.may_have_tool(original)

    def input_schema(self, tool: str) -> Mapping[str, Any] | None:
        """Get the schema of what callers may send to a tool; None: it is not known."""
        shaping = self.shaping
        original = shaping.original(tool)
        if original is None:
            return None
        schema: Mapping[str, Any] | None = shaping.schema(
            original, self._backend.input_schema(original)
        )
        return schema

    def declares_headers(self, tool: str) -> bool:
        """Say whether a tool has arguments that clients repeat as headers."""
        original = self.shaping.original(tool)
        return original is not None and self._backend.declares_headers(original)

    def mismatch(self, call: Call, headers: Sequence[tuple[str, str]]) -> str | None:
        """Say which header does not agree with the tool's arguments."""
        params = call.params or {}
        original = self.shaping.original(str(params.get("name")))
        if original is None:
            return None
        call.params = {**params, "name": original}
        try:
            return self._backend.mismatch(call, headers)
        finally:
            call.params = params

    # Sessions

    def needs_session(self, capabilities: Mapping[str, Any]) -> bool:
        """Say whether a client could miss something without a session."""
        return self._backend.needs_session(capabilities)

    def connect(self, session_id: str, channel: Channel) -> Peer:
        """Begin a session."""
        return self._backend.connect(session_id, channel)

    def end_streams(self) -> None:
        """Tell listeners that nothing more will come."""
        self._backend.end_streams()


def not_found(tool: str, backend: str = "") -> RpcError:
    """Make the answer to a call of a tool that is not there."""
    answer = Problem.TOOL_NOT_FOUND.value
    data = {
        "code": Problem.TOOL_NOT_FOUND.name,
        "hint": answer.hint,
        "retryable": False,
        "tool": tool[:128],
        **({"backend": backend} if backend else {}),
    }
    return RpcError(answer.rpc_code, f"There is no tool {tool[:128]}.", data)


def _unprefixed(prefix: str, call: Call) -> Params | None:
    """Take the prefix off the name of a prompt; a name without it names none, and stays."""
    params = call.params
    if not prefix or params is None:
        return params
    if call.method == "prompts/get":
        return _cut(prefix, params)
    if call.method == "completion/complete":
        reference = params.get("ref")
        if isinstance(reference, dict) and reference.get("type") == "ref/prompt":
            return {**params, "ref": _cut(prefix, reference)}
    return params


def _cut(prefix: str, named: Params) -> Params:
    name = named.get("name")
    if not isinstance(name, str):
        return named
    # Without the prefix it is no prompt of this backend, whatever the backend itself has.
    return {**named, "name": name[len(prefix) :] if name.startswith(prefix) else ""}


def _prefixer(prefix: str) -> Callable[[Params], Params]:
    def prefixed(item: Params) -> Params:
        return {**item, "name": f"{prefix}{item.get('name')}"}

    return prefixed


def _refused(call: Call, names: Sequence[str]) -> bytes:
    """Make the result of a call with arguments that are not the caller's to choose."""
    call.outcome = "caller_error"
    said = f"The arguments are wrong: {', '.join(names)} cannot be set here; leave it out."
    result: Params = {"content": [{"type": "text", "text": said}], "isError": True}
    if call.version in MODERN_PROTOCOL_VERSIONS:
        result["resultType"] = "complete"
    return encoding.dumps(result)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return ", ".join(names[:NAMED_MAX]) + more
