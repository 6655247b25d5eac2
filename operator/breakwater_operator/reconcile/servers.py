"""The McpServers there are, as their watch tells."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.cache import Cache
from breakwater_operator.kube.informer import Informer
from breakwater_operator.kube.kinds import MCP_SERVER
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.trim import without_managers

Object = dict[str, Any]


class Servers:
    """The newest known state of each McpServer.

    A watch may be late: whoever is about to act on a server's existence confirms it first.
    """

    def __init__(self, changed: Callable[[Key], None]) -> None:
        """Begin empty.

        Args:
            changed: Told of each change by others.
        """
        self._cache = Cache(lambda old, new: changed(_key(new or old or {})), without_managers)

    def __len__(self) -> int:
        return len(self._cache)

    def informers(self, api: KubeApi, namespaces: Sequence[str | None]) -> list[Informer]:
        """Make what keeps this true; the caller runs it.

        Args:
            api: Where to ask.
            namespaces: Where to look; None means everywhere.
        """
        return [
            Informer(api, MCP_SERVER, self._cache, namespace=namespace) for namespace in namespaces
        ]

    def all(self) -> list[Key]:
        """All servers."""
        return [key for key, _, _ in self._cache.states()]

    def get(self, key: Key) -> Object | None:
        """The newest known state of one server."""
        return self._cache.get(*key)

    def saw(self, live: Object) -> None:
        """Take over what was read of a server beside the watch."""
        self._cache.saw("MODIFIED", live)

    def writing(self, key: Key) -> AbstractContextManager[None]:
        """Hold back what the watch tells of a server until the answer to an own write is here."""
        return self._cache.writing(*key)

    def wrote(self, live: Object) -> None:
        """Take over the answer to an own write; nobody is told."""
        self._cache.wrote(live)

    def gone(self, live: Object) -> None:
        """Take over that a server is no longer there."""
        self._cache.saw("DELETED", live)


def _key(live: Object) -> Key:
    return live["metadata"]["namespace"], live["metadata"]["name"]
