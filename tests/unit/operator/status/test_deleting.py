"""What is said of a server that somebody has deleted and something still holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from breakwater_operator.status.deleting import HELD_SECONDS, Holders, deleting, holders, is_waiting

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
WAITED = timedelta(seconds=HELD_SECONDS)

Object = dict[str, Any]


def live(name: str, *finalizers: str, since: datetime | None = NOW) -> Object:
    metadata: Object = {"name": name, "namespace": "team-a", "finalizers": list(finalizers)}
    if since is not None:
        metadata["deletionTimestamp"] = since.isoformat()
    return {"metadata": metadata}


OWNER = live("web", "foregroundDeletion")


@pytest.mark.parametrize(
    ("owner", "waits"),
    [
        pytest.param(OWNER, True, id="foreground"),
        pytest.param(live("web", "a.example/audit"), False, id="held-by-another"),
        pytest.param(live("web", "foregroundDeletion", since=None), False, id="not-deleted"),
    ],
)
def test_a_server_waits_for_its_children_where_it_is_deleted_in_the_foreground(
    owner: Object, waits: bool
) -> None:
    assert is_waiting(owner) is waits


def test_what_holds_a_server_is_told_at_once() -> None:
    found = holders(live("web", "b.example/backup", "foregroundDeletion"), [], NOW)

    assert found == Holders(("b.example/backup",))


def test_a_server_that_is_not_deleted_is_held_by_nobody() -> None:
    assert holders(live("web", "b.example/backup", since=None), [], NOW) == Holders()


def test_who_holds_a_child_is_told_once_that_has_lasted() -> None:
    children = [("Ingress", live("web", "a.example/lb")), ("Pod", live("web-a-1"))]

    early = holders(OWNER, children, NOW + WAITED / 4)
    late = holders(OWNER, children, NOW + WAITED)

    assert early == Holders((), due_seconds=HELD_SECONDS * 3 / 4)
    assert late == Holders(("a.example/lb on Ingress web",))


def test_a_child_that_kubernetes_itself_deletes_is_held_by_nobody() -> None:
    children = [
        ("Deployment", live("web-a", "foregroundDeletion")),
        ("Secret", live("web-live", "orphan")),
        ("ConfigMap", live("web-live", "a.example/kept", since=None)),
    ]

    assert holders(OWNER, children, NOW + WAITED) == Holders()


def test_a_pod_that_may_still_end_its_sessions_is_not_held() -> None:
    pod = live("web-a-1", "a.example/audit", since=NOW + timedelta(minutes=5))

    found = holders(OWNER, [("Pod", pod)], NOW)

    assert found == Holders((), due_seconds=300 + HELD_SECONDS)


def test_the_same_holders_make_the_same_status_later() -> None:
    names = ("a.example/lb on Ingress web",)
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    owner = live("web") | {"status": {"conditions": [condition]}}

    status = deleting(owner, names, NOW)
    again = deleting(owner | {"status": status}, names, NOW + timedelta(hours=1))

    assert again == status
    assert status["conditions"][0]["reason"] == "Deleting"
    assert "(a.example/lb on Ingress web)" in status["conditions"][0]["message"]
