"""What we know of one kind: the newest state of each object, from watches and from own writes."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson

Name = tuple[str, str]
"""Namespace and name."""

Changed = Callable[[dict[str, Any] | None, dict[str, Any] | None], None]
"""Told of each change: the old state and the new one; None means that there is none."""

READ_MAX = 64
"""Objects that are held ready to read: a pass reads the same few again and again."""


OWN_MAX = 10_000
"""Own writes whose events may be awaited; where one is forgotten, its event is merely read."""


class _Held(NamedTuple):
    """One object: what is asked often, and the rest as JSON.

    Ten thousand objects take a tenth of the memory that they would as dictionaries.
    """

    version: int
    uid: str
    group: Hashable
    content: bytes


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
        self._objects: dict[Name, _Held] = {}
        self._read: dict[Name, tuple[_Held, dict[str, Any]]] = {}
        self._groups: dict[Hashable, set[Name]] = {}
        self._gone: dict[str, int] = {}
        self._own: set[tuple[str, int]] = set()
        self._waiting: dict[Name, list[tuple[str, dict[str, Any]]]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def states(self) -> list[tuple[Name, str, int]]:
        """Name, uid and version of every object."""
        return [(name, held.uid, held.version) for name, held in self._objects.items()]

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The newest known state of one object; not to be changed."""
        held = self._objects.get((namespace, name))
        return self._content((namespace, name), held) if held is not None else None

    def names(self, group: Hashable) -> frozenset[Name]:
        """The names of all objects of one group, which costs less than to read them."""
        return frozenset(self._groups.get(group, ()))

    def together(self, group: Hashable) -> list[dict[str, Any]]:
        """The newest known state of all objects of one group, by name."""
        names = sorted(self._groups.get(group, ()))
        return [self._content(name, self._objects[name]) for name in names]

    def wrote(self, live: dict[str, Any]) -> None:
        """Take over the answer to an own write; nobody is told."""
        if len(self._own) >= OWN_MAX:
            self._own.clear()
        self._own.add((live["metadata"]["uid"], version(live)))
        name = _name(live)
        if self._is_news(name, live):
            self._put(name, live)

    def is_own(self, uid: str, at: int) -> bool:
        """Whether an own write made this state; to be asked once, when its event comes."""
        state = (uid, at)
        if state not in self._own:
            return False
        self._own.discard(state)
        return True

    @contextmanager
    def writing(self, namespace: str, name: str) -> Iterator[None]:
        """Hold back what is told of an object until the answer to an own write of it is here.

        The event may come before the answer, and would look like somebody else's change.
        """
        waiting = self._waiting.setdefault((namespace, name), [])
        try:
            yield
        finally:
            self._waiting.pop((namespace, name), None)
            for kind, live in waiting:
                self.saw(kind, live)

    def deleted(self, live: dict[str, Any]) -> None:
        """Forget an object that an own request removed; nobody is told."""
        self._forget(live, version(live))

    def clear(self) -> None:
        """Forget everything; nobody is told."""
        for known in (self._objects, self._read, self._groups, self._gone, self._own):
            known.clear()

    def saw(self, kind: str, live: dict[str, Any]) -> None:
        """Take over a watch event of type `kind`."""
        self._own.discard((live["metadata"]["uid"], version(live)))
        name = _name(live)
        if (waiting := self._waiting.get(name)) is not None:
            waiting.append((kind, live))
        elif kind == "DELETED":
            old = self._forget(live, version(live))
            self._gone.pop(live["metadata"]["uid"], None)
            if old is not None:
                self._changed(old, None)
        elif self._is_news(name, live):
            self._replace(name, live)

    def listed(self, found: Iterable[dict[str, Any]]) -> set[Name]:
        """Take over a part of a list, and give the names in it."""
        names = set()
        for live in found:
            name = _name(live)
            names.add(name)
            if self._is_news(name, live):
                # Long before anybody reads it, many others come.
                self._replace(name, live, is_held_ready=False)
        return names

    def list_ended(self, names: AbstractSet[Name], at: int, namespace: str | None = None) -> None:
        """Say what is gone since the last list, and forget what need not be known any more.

        Args:
            names: All objects there were.
            at: The list's resourceVersion.
            namespace: The namespace that was listed; None means all of them.
        """
        for name in sorted(self._objects.keys() - names):
            # An object that we wrote after the list was made is not missing from it.
            if namespace in {None, name[0]} and self._objects[name].version <= at:
                self._changed(self._drop(name), None)
        self._gone = {uid: gone for uid, gone in self._gone.items() if gone > at}
        self._own = {state for state in self._own if state[1] > at}

    def _is_news(self, name: Name, live: dict[str, Any]) -> bool:
        if live["metadata"]["uid"] in self._gone:
            return False
        known = self._objects.get(name)
        return known is None or known.version < version(live)

    def _replace(self, name: Name, live: dict[str, Any], *, is_held_ready: bool = True) -> None:
        known = self._objects.get(name)
        old = self._content(name, known) if known is not None else None
        self._changed(old, self._put(name, live, is_held_ready=is_held_ready))

    def _put(
        self, name: Name, live: dict[str, Any], *, is_held_ready: bool = True
    ) -> dict[str, Any]:
        new = self._keep(live)
        held = _Held(version(live), live["metadata"]["uid"], self._group(new), _packed(new))
        known = self._objects.get(name)
        if known is not None and known.group != held.group:
            self._ungroup(name, known)
        self._objects[name] = held
        self._groups.setdefault(held.group, set()).add(name)
        if is_held_ready:
            self._hold_ready(name, held, new)
        return new

    def _content(self, name: Name, held: _Held) -> dict[str, Any]:
        ready = self._read.get(name)
        if ready is not None and ready[0] is held:
            return ready[1]
        content: dict[str, Any] = orjson.loads(held.content)
        self._hold_ready(name, held, content)
        return content

    def _hold_ready(self, name: Name, held: _Held, content: dict[str, Any]) -> None:
        self._read.pop(name, None)
        self._read[name] = (held, content)
        if len(self._read) > READ_MAX:
            del self._read[next(iter(self._read))]

    def _drop(self, name: Name) -> dict[str, Any]:
        held = self._objects[name]
        old = self._content(name, held)
        del self._objects[name]
        self._read.pop(name, None)
        self._ungroup(name, held)
        return old

    def _ungroup(self, name: Name, held: _Held) -> None:
        members = self._groups[held.group]
        members.discard(name)
        if not members:
            del self._groups[held.group]

    def _forget(self, live: dict[str, Any], at: int) -> dict[str, Any] | None:
        known = self._objects.get(_name(live))
        self._gone[live["metadata"]["uid"]] = at
        if known is None or known.uid != live["metadata"]["uid"]:
            return None
        return self._drop(_name(live))


def version(live: dict[str, Any]) -> int:
    """The age of a state; of two states of a kind the higher one is newer.

    Kubernetes promises since 1.35 that resourceVersions compare as numbers, and its own storage
    has always made them so.
    """
    return int(live["metadata"]["resourceVersion"])


def _packed(content: dict[str, Any]) -> bytes:
    """Write an object as JSON, in no more memory than it takes.

    The library's own answer keeps the buffer that it was written into: 4 KiB and more.
    """
    return memoryview(orjson.dumps(content)).tobytes()


def _name(live: dict[str, Any]) -> Name:
    return live["metadata"]["namespace"], live["metadata"]["name"]
