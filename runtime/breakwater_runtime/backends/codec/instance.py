"""One running server as a client sees it, whatever carries its messages."""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from breakwater_runtime.backends.codec.messages import Result
from breakwater_runtime.calls import Call, Problem, RpcError

HTTP_STATUS = "httpStatus"
"""The member of an error's data that says with which status a server refused a request."""


@dataclass(frozen=True, slots=True)
class About:
    """What a server said of itself when it was greeted."""

    version: str
    """The revision that is spoken with it."""
    modern: bool
    """Whether that has no handshake: 2026-07-28 and later."""
    capabilities: Mapping[str, Any]
    server_info: Mapping[str, Any]
    result: Mapping[str, Any] = field(default_factory=dict)
    """All that it answered."""


Events = Callable[["Instance", str, dict[str, Any] | None], None]
"""Takes a notification that belongs to no call."""

Asked = Callable[["Instance", str, dict[str, Any] | None, Call | None], Awaitable[dict[str, Any]]]
"""Answers a question of the server; the call is the one it belongs to, where that is known.

Raises RpcError where there is no answer.
"""


class Instance(Protocol):
    """A child process, or a session with a server."""

    about: About
    calls: dict[int, Call]
    """What it is asked at the moment, for callers."""
    last_used: float
    """When the last call ended, by the loop's clock."""
    served: bool
    """Whether it has answered anything beyond the handshake."""

    @property
    def lost(self) -> "str | None":
        """Why it is no longer there; None: it is."""

    async def request(
        self, method: str, params: dict[str, Any] | None, call: Call | None = None
    ) -> Result:
        """Ask it something.

        Raises:
            RpcError: There is no result; `unavailable` where it went away meanwhile.
        """

    async def notify(self, method: str, params: dict[str, Any] | None) -> None:
        """Tell it something; nothing happens where it is gone."""

    async def wait_lost(self) -> str:
        """Wait until it is gone, and say why."""

    def close(self) -> None:
        """Stop it, as gently as it lets itself be stopped."""


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where an instance says and asks what answers no request of ours."""

    event: Events
    asked: Asked


def unavailable(
    backend: str, message: str, *, retryable: bool, wait_seconds: float | None = None
) -> RpcError:
    """Make the answer of a call whose server is not there.

    Args:
        backend: The name of the backend.
        message: What happened; never what the server wrote.
        retryable: Whether nothing of the call was executed.
        wait_seconds: After how long it is worth asking again; None: that is not known.
    """
    error = _failed(Problem.SERVER_UNAVAILABLE, backend, message, retryable=retryable)
    if wait_seconds is not None:
        error.data["retryAfter"] = max(1, math.ceil(wait_seconds))
    return error


def is_untouched(error: RpcError) -> bool:
    """Say whether a call failed before a server had seen it."""
    data = error.data if isinstance(error.data, dict) else {}
    return data.get("code") == Problem.SERVER_UNAVAILABLE.name and data.get("retryable") is True


def too_slow(backend: str, message: str) -> RpcError:
    """Make the answer of a call that took too long."""
    return _failed(Problem.TIMEOUT, backend, message, retryable=False)


def crowded(backend: str, *, retryable: bool) -> RpcError:
    """Make the answer of a call whose large answer found no room."""
    message = (
        f"Backend {backend} has a large answer, and there are more of them on their way here than "
        "there is room for."
    )
    error = _failed(Problem.OVERLOADED, backend, message, retryable=retryable)
    error.data["hint"] = "Ask for less at once, or later; what was asked may have had its effect."
    return error


def _failed(problem: Problem, backend: str, message: str, *, retryable: bool) -> RpcError:
    answer = problem.value
    data = {"code": problem.name, "hint": answer.hint, "retryable": retryable, "backend": backend}
    return RpcError(answer.rpc_code, message or answer.message, data)
