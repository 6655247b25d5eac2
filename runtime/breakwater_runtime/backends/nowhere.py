"""The way back to a client where there is none."""

from collections.abc import Mapping
from typing import Any

from breakwater_contract.mcp import INVALID_REQUEST
from breakwater_runtime.calls import RpcError


class Nowhere:
    """A way back that does not exist."""

    @property
    def can_ask(self) -> bool:
        """Without a session, an answer of the client could arrive anywhere."""
        return False

    async def notify(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Do nothing."""

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any] | None,  # noqa: ARG002 - as Channel has it
        timeout_seconds: float | None,  # noqa: ARG002 - as Channel has it
    ) -> dict[str, Any]:
        """Refuse: there is no session.

        Raises:
            RpcError: Always.
        """
        raise RpcError(INVALID_REQUEST, f"Cannot send {method!r}: the client has no session")

    async def close_stream(self) -> None:
        """Do nothing: without a session the client could not come back."""
