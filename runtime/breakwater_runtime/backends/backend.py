"""What every kind of backend offers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from breakwater_contract.backends import Reason
from breakwater_runtime.calls import Call, Channel, Peer

Deliver = Callable[[str, Mapping[str, Any] | None], None]
"""Takes a notification's method and parameters."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """An open ear of a client."""

    result: bytes
    """What `subscriptions/listen` is answered with in the end, as JSON."""
    close: Callable[[], None]
    """Closes it."""


@dataclass(frozen=True, slots=True)
class PoolUse:
    """How much of a pool is in use: threads, connections, processes."""

    used: int
    """Members at work."""
    open: int
    """Members that there are, those at work among them."""
    limit: int
    """Members that there may be."""
    waiting: int
    """Callers that wait for one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a backend that somebody should know, as the operator makes conditions of."""

    reason: Reason
    message: str
    """What was found, and what to do."""


class Backend(Protocol):
    """A source of tools, resources and prompts."""

    name: str
    """What it is called in metrics, logs and messages."""

    @property
    def fault(self) -> str | None:
        """Why it cannot answer now; None: it can."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What somebody should know about it; what keeps it from answering is its fault too."""

    @property
    def lost_threads(self) -> int:
        """How many synchronous tools go on although nobody waits for them."""

    @property
    def pools(self) -> Mapping[str, PoolUse]:
        """How much of its pools is in use, by what each consists of (`threads`, `connections`)."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Start it, and stop it at the end; once per process."""

    async def answer(self, call: Call) -> bytes:
        """Answer a request that passed the gate.

        Returns:
            The result, as JSON.

        Raises:
            RpcError: There is no result.
        """

    def listen(self, call: Call, deliver: Deliver) -> Subscription | None:
        """Have `deliver` called with what a client wants to hear.

        Returns:
            None: `answer` has to serve it.
        """

    async def note(self, call: Call) -> None:
        """Take a notification of an older client; its `id` says nothing."""

    @property
    def tools(self) -> Collection[str]:
        """The names of the tools that there are, as far as is known."""

    def has_tool(self, name: str) -> bool:
        """Say whether there is a tool of this name."""

    def may_have_tool(self, name: str) -> bool:
        """Say whether there could be one: of a backend that never answered nothing is known."""

    def input_schema(self, tool: str) -> Mapping[str, Any] | None:
        """Get the schema of a tool's arguments, one object while it stays; None: not known."""

    def declares_headers(self, tool: str) -> bool:
        """Say whether a tool has arguments that clients repeat as `Mcp-Param-*`."""

    def mismatch(self, call: Call, headers: Sequence[tuple[str, str]]) -> str | None:
        """Say which `Mcp-Param-*` header does not agree with the tool's arguments; None: all do."""

    def needs_session(self, capabilities: Mapping[str, Any]) -> bool:
        """Say whether an older client with these capabilities could miss something without one."""

    def connect(self, session_id: str, channel: Channel) -> Peer:
        """Begin a session of an older client, who is reached by `channel` outside of its calls."""

    def end_streams(self) -> None:
        """Tell listeners that nothing more will come; their streams end well."""
