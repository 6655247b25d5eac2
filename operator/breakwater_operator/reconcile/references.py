"""Objects that servers name without owning them: followed by metadata, read when needed."""

from collections.abc import Callable, Iterable
from typing import Any

from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.cache import Cache
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import REFERENCED, Kind
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.trim import identity

Object = dict[str, Any]

Reference = tuple[Kind, str, str]
"""Kind, namespace and name."""


class References:
    """Who refers to what, and the content of what is referred to.

    A cluster has many times more Secrets than servers have keys: of most only four words are kept.
    What a server names is read once, and again when its resourceVersion has changed.
    """

    def __init__(self, api: KubeApi, wake: Callable[[Key], None]) -> None:
        """Begin without references.

        Args:
            api: Where to read.
            wake: Told of each McpServer that refers to something that changed.
        """
        self._api = api
        self._wake = wake
        self._of: dict[Key, set[Reference]] = {}
        self._users: dict[Reference, set[Key]] = {}
        self._content: dict[Reference, Object] = {}
        self.caches = {kind: Cache(self._changed(kind), identity) for kind in REFERENCED}

    def use(self, key: Key, named: Iterable[Reference]) -> None:
        """Say which objects a server refers to from now on."""
        new, old = set(named), self._of.pop(key, set())
        for reference in old - new:
            self._users[reference].discard(key)
            if not self._users[reference]:
                del self._users[reference]
                self._content.pop(reference, None)
        for reference in new - old:
            self._users.setdefault(reference, set()).add(key)
        if new:
            self._of[key] = new

    def use_also(self, key: Key, reference: Reference) -> None:
        """Say that a server refers to one more object, besides what it is known to refer to."""
        self.use(key, self._of.get(key, set()) | {reference})

    async def read(self, reference: Reference) -> Object | None:
        """Read an object as it is now; None where there is none."""
        kind, namespace, name = reference
        known = self.caches[kind].get(namespace, name)
        if known is None:
            self._content.pop(reference, None)
            return None
        held = self._content.get(reference)
        if held is not None and _version(held) == _version(known):
            return held
        try:
            held = await self._api.get(kind, namespace, name)
        except ApiError as error:
            if error.not_found:
                return None
            raise
        if reference in self._users:
            self._content[reference] = held
        return held

    def _changed(self, kind: Kind) -> Callable[[Object | None, Object | None], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            metadata = (new or old or {})["metadata"]
            for key in self._users.get((kind, metadata["namespace"], metadata["name"]), ()):
                self._wake(key)

        return changed


def _version(live: Object) -> tuple[str, str]:
    return live["metadata"]["uid"], live["metadata"]["resourceVersion"]
