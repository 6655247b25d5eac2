"""What a status says is so at the moment it is written, whatever comes in between."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import INGRESS, MCP_SERVER
from breakwater_operator.reconcile.statuses import SOON_SECONDS
from tests.support.cluster import eventually
from tests.support.faultproxy import Rule, Seen
from tests.support.operator_ground import Ground, own_ground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.cluster import RunningCluster


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with own_ground(control_plane, tmp_path_factory, "honest") as made:
        yield made


def settled(op: Ground, name: str) -> None:
    op.wait(name, "Progressing", "False")
    op.quiet()


@pytest.mark.requirement("C3")
def test_a_change_is_observed_once_all_of_it_is_done(op: Ground) -> None:
    op.ready("late")
    op.quiet()
    before = len(op.proxy.seen)
    conflict = Rule(lambda seen: seen.what == "PATCH networkpolicies", 409, times=2)
    op.proxy.rules.append(conflict)

    op.apply("late", egress="None", replicas=3)
    op.wait("late", "Ready")
    op.quiet()

    assert conflict.hit == 2
    generation = op.find(MCP_SERVER, "late")["metadata"]["generation"]
    done = [
        seen.plural
        for seen in op.writes("late", before)
        if seen.status == 200
        and (seen.plural == "networkpolicies" or observed(seen.body) == generation)
    ]
    assert done[0] == "networkpolicies"
    assert "mcpservers" in done


@pytest.mark.requirement("C3")
def test_a_change_that_comes_during_a_pass_is_observed_by_the_next_one(op: Ground) -> None:
    op.ready("during", replicas=1)
    op.quiet()
    before, is_told, late = len(op.proxy.seen), threading.Event(), threading.Event()
    first = Rule(lambda seen: seen.what == "PATCH networkpolicies", late=late, times=1)
    op.proxy.rules.append(first)

    op.apply("during", replicas=1, egress="None")
    eventually(lambda: first.hit, "a pass is under way")
    op.proxy.tamper = tells(is_told, lambda live: live["spec"]["replicas"] == 3)
    op.apply("during", replicas=3, egress="None")
    assert is_told.wait(30)
    op.proxy.tamper = None
    late.set()
    settled(op, "during")

    generation = op.find(MCP_SERVER, "during")["metadata"]["generation"]
    writes = [seen for seen in op.writes("during", before) if seen.status == 200]
    done = [
        seen.plural
        for seen in writes
        if seen.plural == "deployments" or observed(seen.body) == generation
    ]
    assert done[0] == "deployments"
    assert "mcpservers" in done


@pytest.mark.requirement("C3")
def test_a_change_of_a_child_that_is_being_deleted_waits_until_it_is_gone(op: Ground) -> None:
    way = {"ingressClassName": "nginx"}
    op.ready("held", expose={"host": "a.held.example"} | way)
    hold = {"metadata": {"finalizers": ["example.com/balancer"]}}
    op.patch(INGRESS, "held", hold)
    op.quiet()
    op.delete(INGRESS, "held")

    op.apply("held", expose={"host": "b.held.example"} | way)
    waiting = op.wait("held", "Progressing", "True", "Waiting")

    assert f"Ingress {op.namespace}/held is being deleted" in waiting["message"]
    assert op.condition("held", "Ready")["reason"] == "Waiting"
    op.patch(INGRESS, "held", {"metadata": {"finalizers": None}})
    settled(op, "held")
    assert op.find(INGRESS, "held")["spec"]["rules"][0]["host"] == "b.held.example"
    op.wait("held", "Ready")


@pytest.mark.requirement("C3")
def test_a_change_that_cannot_be_written_is_under_way(op: Ground) -> None:
    op.ready("refused")
    op.quiet()
    refused = Rule(lambda seen: seen.what == "PATCH networkpolicies", 403, "not now", "Forbidden")
    op.proxy.rules.append(refused)

    op.apply("refused", egress="None")
    under_way = op.wait("refused", "Progressing", "True", "ApplyFailed")

    assert "not now" in under_way["message"]
    op.proxy.rules.remove(refused)
    settled(op, "refused")
    op.wait("refused", "Ready")


@pytest.mark.requirement("C3")
def test_a_change_is_done_once_pods_that_answer_late_have_answered(
    control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    slow = {"BREAKWATER_TEST_ANSWER_SECONDS": "2"}
    with own_ground(control_plane, tmp_path_factory, "slow", environment=slow) as op:
        op.ready("one")
        op.wait("one", "Verified")
        op.quiet()

        written = [json.loads(seen.body) for seen in op.proxy.writes() if seen.part == "status"]
        said = [{one["type"]: one for one in it["status"]["conditions"]} for it in written]
        done = [it for it in said if it["Progressing"]["status"] == "False"]
        assert done
        assert all(it["Verified"]["status"] == "True" for it in done)


@pytest.mark.requirement("C3")
def test_what_a_pod_said_is_not_taken_back_by_who_has_yet_to_ask_it(
    control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    slow = {"BREAKWATER_TEST_ANSWER_SECONDS": "2", "BREAKWATER_TEST_SETTINGS_FAULT": "no key"}
    with own_ground(control_plane, tmp_path_factory, "said", environment=slow) as op:
        op.apply("one", replicas=1)
        op.wait("one", "Degraded", "True", "SettingsRefused")
        op.wait("one", "Verified")
        # Where a status is only put in other words, that waits for so long.
        op.quiet(SOON_SECONDS + 1)
        since = op.condition("one", "Degraded")
        before = len(op.proxy.seen)

        op.operator.kill()
        op.operator.start()
        op.operator.wait_ready()
        op.quiet(4)

        written = [seen for seen in op.proxy.writes(before) if seen.part == "status"]
        assert written == []
        assert op.condition("one", "Degraded") == since


@pytest.mark.requirement("C3")
def test_a_conflict_with_what_is_gone_by_now_is_no_failure_to_tell_of(op: Ground) -> None:
    conflict = Rule(lambda seen: seen.what == "PATCH configmaps", 409, times=1)
    op.proxy.rules.append(conflict)
    before = len(op.proxy.seen)

    op.ready("gone")
    op.quiet()

    assert conflict.hit == 1
    said = [seen.body for seen in op.proxy.writes(before) if seen.part == "status"]
    assert said
    assert not any(b"ApplyFailed" in body for body in said)


def tells(event: threading.Event, wanted: Callable[[Any], bool]) -> Callable[[Seen, bytes], bytes]:
    """Set an event once the watch of McpServers has told of such a one."""

    def tell(seen: Seen, line: bytes) -> bytes:
        if seen.plural == MCP_SERVER.plural:
            live = json.loads(line)["object"]
            if "spec" in live and wanted(live):
                event.set()
        return line

    return tell


def observed(body: bytes) -> int:
    """The generation that a write of a status is about; 0 of any other write."""
    said = json.loads(body)
    found = said.get("status", {}) if isinstance(said, dict) else {}
    return int(found.get("observedGeneration", 0))
