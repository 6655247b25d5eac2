"""Every field of an object that somebody could edit or take away, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breakwater_operator.render.drift import MERGE_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]
Step = str | tuple[Any, ...]
"""The name of a field, or what an item of a list is known by: its merge key, else its place."""

FIXED = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
"""What says which object it is."""

OTHERS: tuple[Any, ...] = (
    *("UDP", "TCP", "SCTP", "HTTP", "HTTPS", "Recreate", "NodePort", "Exact", "Ingress", "Egress"),
    *("Never", "Localhost", "Unconfined", "IfNotPresent", "Always", "ClientIP", "None", "Exists"),
    *("ScheduleAnyway", "NoSchedule", "In", "NotIn", "Pods", "Percent", "Min", "Max", "Memory"),
    *("OnRootMismatch", "Orphan", "IfHealthyBudget", "AverageValue", "memory", "cpu", "tcp"),
    *("metrics", "http", "management", "7", "eA==", "10.99.0.0/16", "/other", "other", "11s"),
)
"""What a text may be replaced with where it cannot be just anything."""


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
        """Give the JSON patch that takes it away."""
        pointer = self.pointer(live)
        if pointer is not None:
            yield [{"op": "remove", "path": pointer}]


def others(value: Any) -> Iterator[Any]:
    """Give values that are not this one."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1, value + 1000)
    elif isinstance(value, str):
        yield f"{value}x"
        yield from (other for other in OTHERS if other != value)
    elif not value:
        yield from ({"a": "b"}, ["a"], [{"name": "a"}])


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
