"""What the operator promises across its own end: it writes nothing anew, and misses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from breakwater_operator.kube.kinds import CHILDREN, DEPLOYMENT, MCP_SERVER
from tests.support.cluster import KINDS_SECONDS, RunningCluster, eventually
from tests.support.faultproxy import Rule
from tests.support.operator_ground import Ground, own_ground

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """An operator that tests stop and start, with two servers that are ready."""
    with own_ground(control_plane, tmp_path_factory, "op") as made:
        made.ready("one")
        made.ready("two")
        made.quiet()
        yield made


def restart(op: Ground, image: str | None = None) -> int:
    """Start it again; return how many requests had been seen before."""
    before = len(op.proxy.seen)
    op.operator.image = image or op.operator.image
    op.operator.start()
    op.operator.wait_ready()
    op.quiet(1.5)
    return before


def test_it_stops_when_told_and_writes_nothing_after_a_restart(op: Ground) -> None:
    assert op.operator.stop() == 0

    before = restart(op)

    assert op.proxy.writes(before) == []


def test_another_default_image_restarts_nothing(op: Ground) -> None:
    old = op.find(DEPLOYMENT, "one-a")["metadata"]["generation"]
    op.operator.stop()

    before = restart(op, image="breakwater.local/runtime:newer")

    assert op.proxy.writes(before) == []
    assert op.find(DEPLOYMENT, "one-a")["metadata"]["generation"] == old


def test_what_was_deleted_while_it_was_down_stays_deleted(op: Ground) -> None:
    op.operator.stop()
    op.delete(MCP_SERVER, "two")
    eventually(lambda: not op.children("two"), "the children are gone", seconds=KINDS_SECONDS)

    before = restart(op)

    assert op.proxy.writes(before) == []
    assert op.children("two") == {}


def test_what_was_edited_while_it_was_down_is_put_back(op: Ground) -> None:
    op.operator.stop()
    op.patch(DEPLOYMENT, "one-a", {"spec": {"replicas": 7}})

    restart(op)

    def replicas() -> int:
        return int(op.find(DEPLOYMENT, "one-a")["spec"]["replicas"])

    # It is ready once it knows of everything, and begins then.
    eventually(lambda: replicas() == 2, "it is put back")


def test_an_idle_operator_asks_for_nothing(op: Ground) -> None:
    op.quiet()
    before = len(op.proxy.seen)

    op.quiet(3.0)

    assert op.proxy.asked(before) == []


def test_it_asks_for_no_more_than_its_kinds_need(op: Ground) -> None:
    used = {(seen.plural, seen.method) for seen in op.proxy.seen if seen.plural}

    assert {plural for plural, method in used if method == "DELETE"} <= {
        kind.plural for kind in CHILDREN
    }
    assert {plural for plural, method in used if method == "PUT"} == {"leases"}


def test_its_metrics_count_what_it_does(op: Ground) -> None:
    status, text = op.operator.ask("/metrics")

    assert status == 200
    assert 'breakwater_api_requests_total{code="200",kind="Deployment",verb="list"}' in text
    assert 'breakwater_reconcile_duration_seconds_count{outcome="done"}' in text
    eventually(
        lambda: "breakwater_queue_depth 0.0" in op.operator.ask("/metrics")[1], "nobody waits"
    )


def test_one_that_is_refused_as_it_starts_says_why_and_can_be_started_again(op: Ground) -> None:
    """What kopf asks before anything else, no API server refuses; what stands in between may."""
    op.operator.kill()
    op.proxy.rules.append(Rule(lambda seen: not seen.is_watch, status=404))
    op.operator.start()
    try:
        eventually(lambda: op.operator.process.poll() is not None, "it ends", seconds=60)
    finally:
        op.proxy.rules.clear()

    op.operator.revive()
    op.operator.wait_ready()

    assert op.condition("one", "Ready")["status"] == "True"
