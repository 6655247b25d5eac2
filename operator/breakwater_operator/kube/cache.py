"""What we know of one kind: the newest state of each object, from watches and from own writes."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

Name = tuple[str, str]
"""Namespace and name."""

Changed = Callable[[dict[str, Any] | None, dict[str, Any] | None], None]
"""Told of each change: the old state and the new one; None means that there is none."""


class Cache:
    """The newest state of each object of one kind.

    Own writes are put in at once, so that the watch event that follows is no news and wakes
    nobody. What arrives late is told by its resourceVersion: an older state never replaces a newer
    one, and an object that was deleted does not come back.
    """

    def __init__(
        self,
        changed: Changed,
        keep: Callable[[dict[str, Any]], dict[str, Any]],
        group: Callable[[dict[str, Any]], Hashable] = lambda _: None,
    ) -> None:
        """Begin empty.

        Args:
            changed: Told of each change that did not come from an own write.
            keep: What of an object is kept.
            group: By what objects are found together; None means by nothing.
        """
        self._changed = changed
        self._keep = keep
        self._group = group
        self._objects: dict[Name, dict[str, Any]] = {}
        self._groups: dict[Hashable, set[Name]] = {}
        self._gone: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(list(self._objects.values()))

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The newest known state of one object."""
        return self._objects.get((namespace, name))

    def together(self, group: Hashable) -> list[dict[str, Any]]:
        """The newest known state of all objects of one group, by name."""
        return [self._objects[name] for name in sorted(self._groups.get(group, ()))]

    def wrote(self, live: dict[str, Any]) -> None:
        """Take over the answer to an own write; nobody is told."""
        if self._is_news(live):
            self._put(live)

    def deleted(self, live: dict[str, Any]) -> None:
        """Forget an object that an own request removed; nobody is told."""
        self._forget(live, version(live))

    def clear(self) -> None:
        """Forget everything; nobody is told."""
        self._objects.clear()
        self._groups.clear()
        self._gone.clear()

    def saw(self, kind: str, live: dict[str, Any]) -> None:
        """Take over a watch event of type `kind`."""
        if kind == "DELETED":
            old = self._forget(live, version(live))
            self._gone.pop(live["metadata"]["uid"], None)
            if old is not None:
                self._changed(old, None)
        elif self._is_news(live):
            self._replace(live)

    def listed(
        self, found: Iterable[dict[str, Any]], at: int, namespace: str | None = None
    ) -> None:
        """Take over a complete list, and say what is gone since the last one.

        Args:
            found: All objects there were.
            at: The list's resourceVersion.
            namespace: The namespace that was listed; None means all of them.
        """
        names = set()
        for live in found:
            names.add(_name(live))
            if self._is_news(live):
                self._replace(live)
        for name in sorted(self._objects.keys() - names):
            # An object that we wrote after the list was made is not missing from it.
            if namespace in {None, name[0]} and version(self._objects[name]) <= at:
                self._changed(self._drop(name), None)
        self._gone = {uid: gone for uid, gone in self._gone.items() if gone > at}

    def _is_news(self, live: dict[str, Any]) -> bool:
        if live["metadata"]["uid"] in self._gone:
            return False
        known = self._objects.get(_name(live))
        return known is None or version(known) < version(live)

    def _replace(self, live: dict[str, Any]) -> None:
        old = self._objects.get(_name(live))
        self._changed(old, self._put(live))

    def _put(self, live: dict[str, Any]) -> dict[str, Any]:
        name = _name(live)
        if name in self._objects:
            self._drop(name)
        new = self._objects[name] = self._keep(live)
        self._groups.setdefault(self._group(new), set()).add(name)
        return new

    def _drop(self, name: Name) -> dict[str, Any]:
        old = self._objects.pop(name)
        members = self._groups[self._group(old)]
        members.discard(name)
        if not members:
            del self._groups[self._group(old)]
        return old

    def _forget(self, live: dict[str, Any], at: int) -> dict[str, Any] | None:
        known = self._objects.get(_name(live))
        self._gone[live["metadata"]["uid"]] = at
        if known is None or known["metadata"]["uid"] != live["metadata"]["uid"]:
            return None
        return self._drop(_name(live))


def version(live: dict[str, Any]) -> int:
    """The age of a state; of two states of a kind the higher one is newer.

    Kubernetes promises since 1.35 that resourceVersions compare as numbers, and its own storage
    has always made them so.
    """
    return int(live["metadata"]["resourceVersion"])


def _name(live: dict[str, Any]) -> Name:
    return live["metadata"]["namespace"], live["metadata"]["name"]
