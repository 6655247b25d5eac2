"""Fields of others that become ours, so that an apply without them takes them away."""

import copy
from typing import Any

from breakwater_operator.render import ownership

Object = dict[str, Any]

STRATEGY: ownership.Path = ("spec", "strategy")
ENTRIES = "/metadata/managedFields"


def entry(manager: str, operation: str, fields: Object, **more: str) -> Object:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def spec(**fields: Any) -> Object:
    return {"f:spec": {f"f:{name}": value for name, value in fields.items()}}


def claimed(entries: list[Object], *paths: ownership.Path) -> list[Object]:
    live = {"apiVersion": "apps/v1", "metadata": {"managedFields": copy.deepcopy(entries)}}
    return ownership.claimed(live, paths, "us")


def test_what_others_own_becomes_ours_and_nothing_beside_it() -> None:
    theirs = entry("them", "Update", spec(strategy={"f:rollingUpdate": {}}, replicas={}))
    ours = entry("us", "Apply", spec(strategy={"f:type": {}}))

    assert claimed([theirs, ours], STRATEGY) == [
        {"op": "test", "path": f"{ENTRIES}/0", "value": theirs},
        {"op": "test", "path": f"{ENTRIES}/1", "value": ours},
        {
            "op": "replace",
            "path": f"{ENTRIES}/0",
            "value": entry("them", "Update", spec(replicas={})),
        },
        {
            "op": "replace",
            "path": f"{ENTRIES}/1",
            "value": entry("us", "Apply", spec(strategy={"f:type": {}, "f:rollingUpdate": {}})),
        },
    ]


def test_items_of_a_list_are_found_by_what_they_are_known_by() -> None:
    fields: Object = {
        "f:containers": {'k:{"name":"mcp"}': {"f:args": {}}, 'k:{"name":"x"}': {".": {}}}
    }
    ours = entry("us", "Apply", {})

    *_, last = claimed([ours, entry("them", "Apply", fields)], ("containers", {"name": "mcp"}))

    assert last["value"]["fieldsV1"] == {"f:containers": {'k:{"name":"x"}': {".": {}}}}


def test_who_has_nothing_left_is_no_manager_any_more() -> None:
    entries = [
        entry("them", "Update", spec(strategy={})),
        entry("us", "Apply", {}),
        entry("others", "Update", spec(strategy={"f:type": {}})),
    ]

    assert [(step["op"], step["path"][-1]) for step in claimed(entries, STRATEGY)[3:]] == [
        ("replace", "1"),
        ("remove", "2"),
        ("remove", "0"),
    ]


def test_who_has_never_applied_becomes_a_manager() -> None:
    *_, added, emptied = claimed([entry("them", "Update", spec(strategy={}))], STRATEGY)

    assert emptied == {"op": "remove", "path": f"{ENTRIES}/0"}
    assert added == {
        "op": "add",
        "path": f"{ENTRIES}/1",
        "value": {
            "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1",
            **entry("us", "Apply", spec(strategy={})),
        },
    }


def test_nothing_is_done_where_nobody_else_owns_any_of_it() -> None:
    ours = entry("us", "Apply", spec(strategy={}))
    status = entry("them", "Update", spec(strategy={}), subresource="status")

    assert claimed([ours, status, entry("them", "Update", spec(replicas={}))], STRATEGY) == []
    assert claimed([], STRATEGY) == []
    # Whoever owns a field as one value owns nothing below it.
    assert claimed([ours, entry("them", "Update", spec(strategy={}))], (*STRATEGY, "type")) == []
