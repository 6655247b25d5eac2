"""Every field of an object that somebody could edit or take away, and how."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breakwater_operator.render.drift import MERGE_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Object = dict[str, Any]
Step = str | tuple[Any, ...]
"""The name of a field, or what an item of a list is known by: its merge key, else its place."""

FIXED = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
"""What says which object it is."""

SHARED = {("metadata", "labels"), ("metadata", "annotations")}
"""Parts in which others have entries of their own."""

WHOSE = {("metadata", "labels"), ("metadata", "ownerReferences")}
"""What an object is known to be ours by: with neither it is somebody else's."""

MERGED_BY = {key for keys in MERGE_KEYS.values() for key in keys}

OTHERS: tuple[Any, ...] = (
    *("UDP", "TCP", "SCTP", "HTTP", "HTTPS", "Recreate", "NodePort", "Exact", "Ingress", "Egress"),
    *("Never", "Localhost", "Unconfined", "IfNotPresent", "Always", "ClientIP", "None", "Exists"),
    *("ScheduleAnyway", "NoSchedule", "In", "NotIn", "Pods", "Percent", "Min", "Max", "Memory"),
    *("OnRootMismatch", "Orphan", "IfHealthyBudget", "AverageValue", "memory", "cpu", "tcp"),
    *("metrics", "http", "management", "7", "eA==", "10.99.0.0/16", "/other", "other", "11s"),
)
"""What a text may be replaced with where it cannot be just anything."""


NAME = re.compile(r"[a-z][-a-z0-9]*")
"""What somebody chose, and no word of an API: another such word means nothing in its place."""


@dataclass(frozen=True)
class Field:
    """One value of a manifest that is ours, or one part that holds some."""

    steps: tuple[Step, ...]
    value: Any

    def __str__(self) -> str:
        return "/".join(
            step if isinstance(step, str) else f"[{','.join(map(str, step))}]"
            for step in self.steps
        )

    @property
    def kind(self) -> tuple[Any, ...]:
        """What it has in common with the same field of other items."""
        steps = tuple(step if isinstance(step, str) else "[]" for step in self.steps)
        return steps, str(self.value)

    def pointer(self, live: Any) -> str | None:
        """Where it is in the object as it is; None where it is not there."""
        found = []
        name = ""
        for step in self.steps:
            place = _place(live, step, name)
            if place is None:
                return None
            live = live[place]
            name = step if isinstance(step, str) else name
            found.append(str(place).replace("~", "~0").replace("/", "~1"))
        return "/" + "/".join(found)

    def edits(self, live: Any) -> Iterator[list[Object]]:
        """Give JSON patches that edit it, the likeliest to be accepted first."""
        pointer = self.pointer(live)
        if pointer is not None:
            for value in others(self.value):
                yield [{"op": "replace", "path": pointer, "value": value}]

    def removal(self, live: Any) -> Iterator[list[Object]]:
        """Give the JSON patch that takes it away; what others have in it stays."""
        pointer = self.pointer(live)
        if pointer is None:
            return
        theirs = self._theirs(live) if self.steps in SHARED else {}
        if theirs:
            yield [{"op": "replace", "path": pointer, "value": theirs}]
        else:
            yield [{"op": "remove", "path": pointer}]

    def _theirs(self, live: Any) -> Object:
        found = live
        for step in self.steps:
            found = found[step]
        return {name: value for name, value in found.items() if name not in self.value}

    def meets(self, other: Field) -> bool:
        """Whether one of them cannot be edited without the other one.

        Either holds the other, or an item of a list that holds the one is known by the other, or
        nobody could tell whose the object is.
        """
        if len({self.steps[:2], other.steps[:2]} & WHOSE) == len(WHOSE):
            return True
        one, two = sorted((self.steps, other.steps), key=len)
        return two[: len(one)] == one or _names(one, two) or _names(two, one)


def others(value: Any) -> Iterator[Any]:
    """Give values that are not this one."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1, value + 1000)
    elif isinstance(value, str):
        yield f"{value}x" if "/" not in value else _narrower(value)
        if NAME.fullmatch(value) and value not in OTHERS:
            yield "other"
            return
        yield from (other for other in OTHERS if other != value)
    elif not value:
        yield from ({"a": "b"}, ["a"], [{"name": "a"}])


def _narrower(value: str) -> str:
    """Half of a network; anything else only longer."""
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        return f"{value}x"
    return f"{network.network_address}/{network.prefixlen + 1}"


def _names(key: tuple[Step, ...], steps: tuple[Step, ...]) -> bool:
    """Whether an item that holds a field is known by a key."""
    is_key = key[-1] in MERGED_BY and len(key) > 1 and isinstance(key[-2], tuple)
    return is_key and steps[: len(key) - 1] == key[:-1]


def together(found: Iterable[Field]) -> list[list[Field]]:
    """Divide fields into as few parts as can be edited at once, as far as is easily seen."""
    parts: list[list[Field]] = []
    for field in found:
        free = (part for part in parts if not any(map(field.meets, part)))
        part = next(free, None)
        if part is None:
            parts.append([field])
        else:
            part.append(field)
    return parts


def merged(patches: Iterable[list[Object]]) -> list[Object]:
    """Make one JSON patch of several, in an order in which no path is moved before it is used."""
    operations = [operation for patch in patches for operation in patch]
    return sorted(operations, key=_place_of, reverse=True)


def _place_of(operation: Object) -> list[tuple[int, str]]:
    steps = operation["path"].split("/")
    return [(int(step), "") if step.isdecimal() else (-1, step) for step in steps]


def fields(manifest: Object) -> list[Field]:
    """List every value of a manifest, and every part that holds some."""
    return [field for field in _fields(manifest, (), "") if field.steps not in FIXED]


def _fields(value: Any, steps: tuple[Step, ...], name: str) -> Iterator[Field]:
    if steps:
        yield Field(steps, value)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _fields(inner, (*steps, key), key)
    elif isinstance(value, list):
        keys = MERGE_KEYS.get(name)
        for place, item in enumerate(value):
            known = tuple(item.get(key) for key in keys) if keys else (place,)
            yield from _fields(item, (*steps, known), name)


def _place(live: Any, step: Step, name: str) -> Any:
    if isinstance(step, str):
        return step if isinstance(live, dict) and step in live else None
    if not isinstance(live, list):
        return None
    keys = MERGE_KEYS.get(name)
    if keys is None:
        return step[0] if step[0] < len(live) else None
    places = [
        place for place, item in enumerate(live) if tuple(item.get(key) for key in keys) == step
    ]
    return places[0] if places else None
