"""A manifest that is refused keeps everything as it is, but for keys that are withdrawn."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_contract.names import LIVE_ANNOTATION
from breakwater_operator.api.pause import ANNOTATION
from breakwater_operator.kube.kinds import DEPLOYMENT, MCP_SERVER, POD, SECRET
from tests.support.cluster import RunningCluster, eventually
from tests.support.operator import decoded
from tests.support.operator_ground import Ground, now, own_ground

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED = {"runtime": {"image": "docker.example/any:1"}}
KEYS = {"alice": "one\ntwo\n", "bob": "three"}


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    platform = {"allowed": {"registries": ["breakwater.local/*"]}}
    # Pods that load what has changed only after a while are told of it.
    lag = {"BREAKWATER_TEST_LAG_SECONDS": "0.5"}
    with own_ground(
        control_plane, tmp_path_factory, "refused", platform=platform, environment=lag
    ) as made:
        yield made


def copies(op: Ground, name: str) -> dict[str, bytes]:
    found = decoded(op.find(SECRET, f"{name}-live"))
    return {key: value for key, value in found.items() if not key.startswith(".")}


def told(op: Ground, name: str) -> set[str]:
    """What the pods of a server were told to load."""
    pods: list[Any] = op.api.get(POD.path(op.namespace))["items"]
    found = [one["metadata"] for one in pods]
    mine = [one for one in found if one["labels"].get("breakwater.dev/server") == name]
    return {(one.get("annotations") or {}).get(LIVE_ANNOTATION, "") for one in mine}


def refused(op: Ground, name: str) -> None:
    """Have a server with keys that runs, and a manifest that is not allowed any more."""
    op.create(SECRET, f"{name}-clients", stringData=KEYS)
    op.ready(name, access={"keys": {"secretName": f"{name}-clients"}})
    op.patch(MCP_SERVER, name, {"spec": REFUSED})
    op.wait(name, "Accepted", "False", "NotAllowed")
    op.quiet()


def test_a_key_is_withdrawn_while_the_manifest_is_refused_and_nothing_else_is_done(
    op: Ground,
) -> None:
    refused(op, "one")
    said = op.condition("one", "Progressing")["message"]
    before, loaded = op.find(SECRET, "one-live"), told(op, "one")
    op.patch(DEPLOYMENT, "one-a", {"spec": {"replicas": 1}})

    op.patch(SECRET, "one-clients", {"stringData": {"alice": "one\n", "eve": "four"}})
    eventually(lambda: copies(op, "one") == {"alice": b"one\n", "bob": b"three"}, "a line is gone")
    op.patch(SECRET, "one-clients", {"data": {"bob": None}})
    eventually(lambda: copies(op, "one") == {"alice": b"one\n"}, "an entry is gone")
    eventually(lambda: not told(op, "one") & loaded, "pods are told")
    op.quiet()
    since = len(op.proxy.writes())
    op.operator.kill()
    op.operator.start()
    op.operator.wait_ready()
    op.patch(SECRET, "one-clients", {"data": {"alice": None}})
    eventually(lambda: copies(op, "one") == {}, "the operator that was started anew follows it")
    op.quiet(2.0)

    after = op.find(SECRET, "one-live")
    assert after["data"].keys() == {key for key in before["data"] if key.startswith(".")}
    assert op.find(DEPLOYMENT, "one-a")["spec"]["replicas"] == 1
    written = {seen.plural for seen in op.proxy.writes()[since:]}
    assert written <= {"leases", "secrets", "pods", "events", "mcpservers"}
    assert "no drift is repaired" in said
    assert "withdrawn" in said

    op.patch(MCP_SERVER, "one", {"spec": {"runtime": None}})

    op.wait("one", "Ready")
    eventually(lambda: copies(op, "one") == {"eve": b"four"}, "what is new is taken over")
    assert op.find(DEPLOYMENT, "one-a")["spec"]["replicas"] == 2


def test_no_key_is_withdrawn_while_the_server_is_paused(op: Ground) -> None:
    refused(op, "two")
    until = now() + timedelta(hours=1)
    op.patch(MCP_SERVER, "two", {"metadata": {"annotations": {ANNOTATION: until.isoformat()}}})
    eventually(
        lambda: "no key withdrawn" in op.condition("two", "Progressing")["message"], "it says so"
    )

    op.patch(SECRET, "two-clients", {"data": {"bob": None}})
    op.quiet(2.0)

    assert copies(op, "two") == {name: key.encode() for name, key in KEYS.items()}
    op.patch(MCP_SERVER, "two", {"metadata": {"annotations": {ANNOTATION: None}}})
    eventually(lambda: "bob" not in copies(op, "two"), "it goes on")
