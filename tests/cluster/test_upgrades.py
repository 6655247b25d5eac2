"""A newer operator, or a new default image: whose pods are replaced, and when."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from breakwater_operator.kube.kinds import CONTROLLER_REVISION, DEPLOYMENT, MCP_SERVER, POD, Kind
from breakwater_operator.reconcile.upgrades import AT_ONCE
from dev.cluster.api import ApiError
from tests.support.cluster import RunningCluster, eventually
from tests.support.faultproxy import Rule
from tests.support.operator_ground import QUOTA, Ground, now, own_ground

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD, NEW = "breakwater.local/runtime:n", "breakwater.local/runtime:n-plus-1"
CAREFUL, IN_WAVES = "careful", ["a", "b", "c", "d", "e"]
SECONDS = 120
REPLICA_SET = Kind("apps/v1", "ReplicaSet", "replicasets")
FULL = str(2 * (1 + len(IN_WAVES)))
"""No room for the first pod of a rollout."""


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """An operator of version N that is stopped, and servers that are ready."""
    with own_ground(control_plane, tmp_path_factory, "up", image=OLD) as made:
        made.apply(CAREFUL)
        for server in IN_WAVES:
            made.apply(server, upgradePolicy="InWaves")
        for server in (CAREFUL, *IN_WAVES):
            made.wait(server, "Ready")
            made.wait(server, "Progressing", "False")
        made.quiet()
        made.operator.stop()
        yield made


def images(op: Ground) -> dict[str, str]:
    """The runtime image of each server."""
    return {server: image(op, server) for server in (CAREFUL, *IN_WAVES)}


def image(op: Ground, server: str) -> str:
    """The runtime image of one."""
    spec = op.find(DEPLOYMENT, f"{server}-a")["spec"]["template"]["spec"]
    return str({one["name"]: one["image"] for one in spec["containers"]}["runtime"])


def begin(op: Ground, image: str) -> None:
    op.operator.image = image
    op.operator.start()
    op.operator.wait_ready()


def make_room(op: Ground) -> None:
    """Let pods be made, and have it tried at once.

    A ReplicaSet whose pods are refused waits twice as long each time, unless somebody changes it.
    """
    op.delete(QUOTA, "full")
    eventually(lambda: has_room(op), "there is room")
    change = {"metadata": {"annotations": {"example.com/room-since": now().isoformat()}}}
    for one in op.api.get(REPLICA_SET.path(op.namespace))["items"]:
        with suppress(ApiError):  # one that nobody needs any more may just have gone
            op.patch(REPLICA_SET, one["metadata"]["name"], change)


def has_room(op: Ground) -> bool:
    containers = [{"name": "any", "image": "breakwater.local/nothing:1"}]
    pod = {"metadata": {"name": "tried"}, "spec": {"containers": containers}}
    try:
        op.api.request("POST", f"{POD.path(op.namespace)}?dryRun=All", pod)
    except ApiError:
        return False
    return True


def test_a_few_servers_are_upgraded_at_a_time_and_those_that_did_not_ask_never(op: Ground) -> None:
    before = op.find(DEPLOYMENT, f"{CAREFUL}-a")["metadata"]["generation"]
    # Pods of the new revision do not get ready: the quota of the namespace leaves them no room.
    op.limit("pods", FULL, "full")

    begin(op, NEW)
    eventually(lambda: list(images(op).values()).count(NEW) == AT_ONCE, "a wave", seconds=SECONDS)
    op.quiet(3)
    first_wave = images(op)
    waiting = [server for server in IN_WAVES if first_wave[server] == OLD]
    for server in waiting:
        op.wait(server, "Progressing", "True", "UpgradePending")
        op.wait(server, "Ready")
    make_room(op)
    for server in IN_WAVES:
        op.wait(server, "Progressing", "False", seconds=SECONDS)

    assert first_wave[CAREFUL] == OLD
    assert len(waiting) == len(IN_WAVES) - AT_ONCE
    assert images(op) == {CAREFUL: OLD} | dict.fromkeys(IN_WAVES, NEW)
    assert op.find(DEPLOYMENT, f"{CAREFUL}-a")["metadata"]["generation"] == before


def test_the_next_change_of_a_server_brings_todays_rendering_with_it(op: Ground) -> None:
    op.apply(CAREFUL, pod={"resources": {"limits": {"memory": "300Mi"}}})

    op.wait(CAREFUL, "Progressing", "False", seconds=SECONDS)

    assert images(op)[CAREFUL] == NEW


def test_an_upgrade_is_made_once(op: Ground) -> None:
    op.settled()
    op.operator.stop()
    before = len(op.proxy.seen)

    begin(op, NEW)
    op.quiet(1.5)

    assert op.proxy.writes(before) == []


def test_a_turn_that_was_stored_and_not_yet_begun_is_one(op: Ground) -> None:
    def has_turn() -> int:
        found = op.api.get(CONTROLLER_REVISION.path(op.namespace))["items"]
        return sum(one["data"]["image"] == OLD for one in found)

    def begun() -> int:
        return sum(image(op, server) == OLD for server in IN_WAVES)

    op.operator.stop()
    before = has_turn()
    op.limit("pods", FULL, "full")
    op.proxy.rules.append(Rule(lambda seen: seen.what == "PATCH deployments", 503))
    op.operator.image = OLD
    op.operator.start()
    eventually(lambda: has_turn() - before >= AT_ONCE, "a wave is stored", seconds=SECONDS)
    op.operator.kill()
    # What it sent last is refused, too.
    op.quiet()
    op.proxy.rules.clear()
    assert begun() == 0

    begin(op, OLD)
    eventually(lambda: begun() >= AT_ONCE, "a wave", seconds=SECONDS)
    op.quiet(3)
    wave = begun()
    make_room(op)
    for server in IN_WAVES:
        op.wait(server, "Progressing", "False", seconds=SECONDS)
    op.operator.stop()
    begin(op, NEW)
    eventually(lambda: begun() == 0, "all again", seconds=SECONDS)
    for server in IN_WAVES:
        op.wait(server, "Progressing", "False", seconds=SECONDS)

    assert wave == AT_ONCE


def test_a_change_is_not_kept_waiting_by_a_wave(op: Ground) -> None:
    op.operator.stop()
    op.limit("pods", FULL, "full")
    begin(op, OLD)
    eventually(lambda: list(images(op).values()).count(OLD) == AT_ONCE, "a wave", seconds=SECONDS)
    op.quiet(2)
    waiting = next(server for server in IN_WAVES if images(op)[server] == NEW)

    op.apply(waiting, upgradePolicy="InWaves", runtime={"image": "breakwater.local/own:1"})

    eventually(lambda: images(op)[waiting] == "breakwater.local/own:1", "the change is made")
    make_room(op)


def test_a_turn_ends_also_where_the_manifest_has_come_to_be_refused(op: Ground) -> None:
    for server in IN_WAVES:
        op.apply(server, upgradePolicy="InWaves")
        op.wait(server, "Progressing", "False", seconds=SECONDS)
    op.operator.stop()
    op.limit("pods", FULL, "full")
    begin(op, NEW)
    eventually(lambda: list(images(op).values()).count(NEW) >= AT_ONCE, "a wave", seconds=SECONDS)
    op.quiet(2)
    upgraded = [server for server in IN_WAVES if images(op)[server] == NEW]

    for server in upgraded:
        # The platform of these tests has no collector to send traces to.
        op.apply(server, upgradePolicy="InWaves", monitoring={"tracing": {}})
        op.wait(server, "Accepted", "False")
    make_room(op)

    assert len(upgraded) < len(IN_WAVES)
    eventually(
        lambda: all(images(op)[server] == NEW for server in IN_WAVES), "all", seconds=SECONDS
    )


def fail(op: Ground, server: str) -> None:
    """Have a rollout that gets nowhere say that it missed its deadline, which takes ten minutes."""
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    path = DEPLOYMENT.path(op.namespace, f"{server}-a", "status")
    change = {"status": {"conditions": [late]}}
    op.api.request("PATCH", path, change, "application/strategic-merge-patch+json")


def test_an_upgrade_that_failed_under_an_earlier_leader_stops_all_others(op: Ground) -> None:
    for server in IN_WAVES:
        op.apply(server, upgradePolicy="InWaves")
        op.wait(server, "Ready")
        op.wait(server, "Progressing", "False", seconds=SECONDS)
    op.quiet()
    op.operator.stop()
    op.limit("pods", FULL, "full")
    begin(op, OLD)
    eventually(lambda: list(images(op).values()).count(OLD) >= AT_ONCE, "a wave", seconds=SECONDS)
    op.quiet(2)
    first, *others = [server for server in IN_WAVES if images(op)[server] == OLD]
    op.operator.stop()
    fail(op, first)
    # Their pods leave no room for that one.
    op.patch(QUOTA, "full", {"spec": {"hard": {"pods": str(2 * (2 + len(IN_WAVES) - AT_ONCE))}}})
    for server in others:
        op.delete(MCP_SERVER, server)
    waiting = [server for server in IN_WAVES if server not in {first, *others}]

    begin(op, OLD)
    for server in waiting:
        op.wait(server, "Progressing", "True", "UpgradePending")
    op.quiet(3)

    assert {image(op, server) for server in waiting} == {NEW}
    make_room(op)
    for server in waiting:
        op.wait(server, "Progressing", "False", seconds=SECONDS)
        assert image(op, server) == OLD
