"""The McpServers there are, as their watch and their list tell."""

from collections.abc import Callable, Iterable
from typing import Any

from breakwater_operator.kube.cache import Cache
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.trim import without_managers

Object = dict[str, Any]


class Servers:
    """The newest known state of each McpServer.

    The watch that feeds it keeps no store and misses deletions across a re-list, so whoever is
    about to act on a server's existence confirms it first, and a list comes by now and then.
    """

    def __init__(self, changed: Callable[[Key, str | None], None]) -> None:
        """Begin empty.

        Args:
            changed: Told of each change by others and of what kind it is; None means that a list
                told of it, and nobody may be waiting.
        """
        self._told = changed
        self._kind: str | None = None
        self._cache = Cache(self._changed, without_managers)

    def __len__(self) -> int:
        return len(self._cache)

    def keys(self) -> list[Key]:
        """All servers."""
        return [key for key, _, _ in self._cache.states()]

    def get(self, key: Key) -> Object | None:
        """The newest known state of one server."""
        return self._cache.get(*key)

    def saw(self, kind: str | None, live: Object) -> None:
        """Take over an event of the watch; the type None means that it comes from a list."""
        self._kind = kind
        self._cache.saw(kind or "ADDED", live)

    def wrote(self, live: Object) -> None:
        """Take over the answer to an own write or a read of ours; nobody is told."""
        self._cache.wrote(live)

    def gone(self, live: Object) -> None:
        """Take over that a server is no longer there."""
        self.saw("DELETED", live)

    def compare(self, found: Iterable[Object], at: int, namespace: str | None = None) -> list[Key]:
        """Drop what a complete list no longer has.

        Args:
            found: The metadata of all McpServers.
            at: The list's resourceVersion.
            namespace: The namespace that was listed; None means all of them.

        Returns:
            The servers in the list that the watch has not told of.
        """
        listed = {_key(live): live["metadata"]["uid"] for live in found}
        for key, uid, version in self._cache.states():
            is_elsewhere = namespace not in {None, key[0]}
            live = self._cache.get(*key)
            if version <= at and not is_elsewhere and listed.get(key) != uid and live is not None:
                self.gone(live)
        return [key for key in listed if self._cache.get(*key) is None]

    def _changed(self, old: Object | None, new: Object | None) -> None:
        self._told(_key(new or old or {}), self._kind)


def _key(live: Object) -> Key:
    return live["metadata"]["namespace"], live["metadata"]["name"]
