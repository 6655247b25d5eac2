"""Who owns which fields of an object, as its `managedFields` say."""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from breakwater_operator.render.manifest import Live

Operation = dict[str, Any]

Path = tuple[str | Mapping[str, str], ...]
"""The way to a field: its name at each step, and in a list by what its item is known."""


def claimed(live: Live, paths: Sequence[Path], manager: str) -> list[Operation]:
    """Give the JSON patch that makes a manager own by its apply what others own now.

    An apply that leaves such fields out takes them away, whatever they are. The patch touches
    `managedFields` only, and fails where these have changed meanwhile. It is not bound to a
    resourceVersion, since controllers write the object's status all the time.

    Args:
        live: The object with its managedFields.
        paths: All fields at these and below.
        manager: The manager.

    Returns:
        The patch; empty where nobody else owns any of them.
    """
    entries = list(live["metadata"].get("managedFields") or ())
    count = len(entries)
    ours = next((n for n, entry in enumerate(entries) if _is_apply(entry, manager)), count)
    if ours == count:
        fresh = {"manager": manager, "operation": "Apply", "apiVersion": live["apiVersion"]}
        entries.append(fresh | {"fieldsType": "FieldsV1", "fieldsV1": {}})
    after = copy.deepcopy(entries)
    for number, entry in enumerate(after):
        if number != ours and not entry.get("subresource"):
            for path in paths:
                _merge(after[ours]["fieldsV1"], _taken(entry["fieldsV1"], _fields_v1(path)))
    changed = [number for number, entry in enumerate(after) if entry != entries[number]]
    kept = [number for number in changed if after[number]["fieldsV1"]]
    tests = [_step("test", number, entries[number]) for number in changed if number < count]
    sets = [_step("replace" if n < count else "add", n, after[n]) for n in kept]
    # From the end, since each removal moves those behind it.
    emptied = [number for number in reversed(changed) if number not in kept]
    return [*tests, *sets, *({"op": "remove", "path": _pointer(number)} for number in emptied)]


def _is_apply(entry: Mapping[str, Any], manager: str) -> bool:
    said = entry.get("manager"), entry.get("operation"), entry.get("subresource", "")
    return said == (manager, "Apply", "")


def _fields_v1(path: Path) -> list[str]:
    """Write a path as fieldsV1 do."""
    return [
        f"f:{step}" if isinstance(step, str) else f"k:{json.dumps(step, separators=(',', ':'))}"
        for step in path
    ]


def _taken(fields: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Take out what is at a path and below it; empty where nothing is."""
    first, *rest = path
    if first not in fields:
        return {}
    if not rest:
        return {first: fields.pop(first)}
    found = _taken(fields[first], rest)
    # Nothing below it stands for the field itself, which it never was.
    if found and not fields[first]:
        del fields[first]
    return {first: found} if found else {}


def _merge(ours: dict[str, Any], theirs: Mapping[str, Any]) -> None:
    for name, below in theirs.items():
        _merge(ours.setdefault(name, {}), below)


def _step(op: str, number: int, entry: Mapping[str, Any]) -> Operation:
    return {"op": op, "path": _pointer(number), "value": entry}


def _pointer(number: int) -> str:
    return f"/metadata/managedFields/{number}"
