"""What every kind of backend offers."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from starlette.types import Receive, Scope, Send


class Backend(Protocol):
    """A source of tools, resources and prompts."""

    name: str
    """What it is called in metrics, logs and messages."""

    @property
    def fault(self) -> str | None:
        """Why it cannot answer now; None: it can."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Start it, and stop it at the end; once per process."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one MCP message that arrived over Streamable HTTP and passed the gate."""

    def end_streams(self) -> None:
        """Tell listeners that nothing more will come; their streams end well."""
