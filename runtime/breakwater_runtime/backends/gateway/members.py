"""The backends of a gateway, by their places in its list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.backends.gateway import meta
from breakwater_runtime.backends.gateway.errors import failed
from breakwater_runtime.backends.gateway.peers import GatewayPeer
from breakwater_runtime.calls import Call, Problem, RpcError

WHICH_SERVERS = f"{meta.LIST_SERVERS} names those that there are."


@dataclass(frozen=True, slots=True)
class Member:
    """One of the backends."""

    backend: Backend
    prefix: Callable[[], str] = str
    """What stands before the names of its tools and prompts."""
    state: Callable[[], object] = bool
    """Another value means that it shows other tools, though it said nothing."""


class Members:
    """All of them."""

    def __init__(self, members: Sequence[Member]) -> None:
        """Keep their order: of two things with one name the first counts."""
        self._members = members
        self.backends = [member.backend for member in members]
        self.numbers = range(len(members))

    @property
    def state(self) -> object:
        """What their lists depend on, apart from what they tell themselves."""
        return [
            (member.backend.fault is None, member.prefix(), member.state())
            for member in self._members
        ]

    def prefix(self, number: int) -> str:
        """Get what stands before the names of a backend's tools and prompts."""
        return self._members[number].prefix()

    def named(self, server: str) -> int:
        """Find a backend by its name.

        Raises:
            RpcError: There is none.
        """
        names = [backend.name for backend in self.backends]
        if server in names:
            return names.index(server)
        said = server[:128]
        message = f"There is no server {said}; there are: {', '.join(names)}."
        raise failed(Problem.TOOL_NOT_FOUND, message, hint=WHICH_SERVERS, server=said)

    def with_tool(self, name: str) -> int | None:
        """Say whose tool it is; the first that has it, else the first that may have it."""
        for number, backend in enumerate(self.backends):
            if backend.has_tool(name):
                return number
        for number, backend in enumerate(self.backends):
            if backend.may_have_tool(name):
                return number
        return None

    async def answer(self, number: int, call: Call) -> bytes:
        """Have one backend answer a call as its own.

        Raises:
            RpcError: There is no result.
            Refused: A policy or a limit stands against it.
        """
        backend, peer = self.backends[number], call.peer
        call.backend = backend.name
        if not isinstance(peer, GatewayPeer):
            return await backend.answer(call)
        call.peer = peer.known(number) or await peer.at(number, call)
        try:
            return await backend.answer(call)
        finally:
            call.peer = peer

    def away(self, number: int) -> RpcError:
        """Make the answer to who wants to know what a backend has that cannot say it."""
        name = self.backends[number].name
        said = f"Backend {name} cannot say now what it has."
        return failed(Problem.SERVER_UNAVAILABLE, said, retryable=True, backend=name)
