"""What leads back to a client, and what a backend keeps of it."""

from collections.abc import Mapping
from typing import Any, Protocol


class Channel(Protocol):
    """The way back to a client while its call runs."""

    @property
    def can_ask(self) -> bool:
        """Whether an answer of the client to a question would find its way back."""

    async def notify(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Send a notification; nothing happens where the client is gone."""

    async def ask(
        self, method: str, params: Mapping[str, Any] | None, timeout_seconds: float | None
    ) -> dict[str, Any]:
        """Ask the client and wait for its result.

        Raises:
            RpcError: There is no way back, or the client answered with an error.
        """

    async def close_stream(self) -> None:
        """End the stream and let the client come back for the rest, where it can."""


class Peer(Protocol):
    """What a backend keeps of one session."""

    async def close(self) -> None:
        """Let go of it."""
