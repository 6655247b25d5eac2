"""What carries the messages of a server in another container."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from breakwater_runtime.backends.backend import Finding, PoolUse
from breakwater_runtime.backends.codec.instance import Instance, Sinks


class OpeningError(Exception):
    """An instance could not be opened; the message says why, for those who run it."""


class Prepared(Protocol):
    """A child that was started, and to which nothing has been said."""

    @property
    def lost(self) -> str | None:
        """Why it is no longer there; None: it is."""

    async def wait_lost(self) -> str:
        """Wait until it is gone, and say why."""

    async def greet(self, *, modern: bool | None, initialize: Mapping[str, Any]) -> Instance:
        """Greet it.

        Raises:
            OpeningError: It ends, or says nothing in time.
            GreetingError: It does not speak MCP in this era.
        """

    def close(self) -> None:
        """Stop it."""


class Transport(Protocol):
    """How instances of one server come to be."""

    async def run(self) -> None:
        """Do what has to be done all the time."""
        return

    async def stop(self) -> None:
        """Wait, not for long, until instances that were closed are gone."""
        return

    async def reachable(self) -> None:
        """Wait until there is somebody to ask."""
        return

    @property
    def findings(self) -> Sequence[Finding]:
        """What is wrong, as far as it can be told from here."""
        return ()

    @property
    def pools(self) -> Mapping[str, PoolUse]:
        """How much of its pools is in use, besides that of instances."""
        return {}

    def describe(
        self,
        tools: Mapping[str, Mapping[str, Any]],  # noqa: ARG002 - for those that read it
    ) -> None:
        """Know which tools there are, by their names."""
        return

    async def prepare(
        self,
        sinks: Sinks,  # noqa: ARG002 - for those that can
    ) -> Prepared:
        """Start an instance ahead.

        Raises:
            OpeningError: It cannot be started.
        """
        raise OpeningError("only children of commands are started ahead")

    @abstractmethod
    async def open(
        self, sinks: Sinks, *, modern: bool | None, initialize: Mapping[str, Any]
    ) -> Instance:
        """Open an instance and greet it.

        Raises:
            OpeningError: It cannot be opened.
            GreetingError: It does not speak MCP in this era.
            RpcError: It went away meanwhile.
        """
