"""What an operator tells of itself: metrics that move, health that means something, its log."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from breakwater_contract.metrics import OPERATOR_METRICS
from breakwater_operator.kube.kinds import CHILDREN, MCP_SERVER, REFERENCED, SERVICE
from tests.support.cluster import RunningCluster, eventually
from tests.support.faultproxy import Rule
from tests.support.operator_ground import Ground, own_ground

if TYPE_CHECKING:
    from collections.abc import Iterator

STUCK_SECONDS = 3.0
"""How long a pass may take before this operator calls itself unhealthy; others wait minutes."""


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    patience = {"BREAKWATER_TEST_STUCK_SECONDS": str(STUCK_SECONDS)}
    with own_ground(control_plane, tmp_path_factory, "seen", environment=patience) as made:
        yield made


def values(op: Ground, name: str, **labels: str) -> list[float]:
    """The values of a series whose labels include these."""
    status, text = op.operator.ask("/metrics")
    assert status == 200
    return [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def total(op: Ground, name: str, **labels: str) -> float:
    return sum(values(op, name, **labels))


def kinds(op: Ground, name: str) -> set[str]:
    _, text = op.operator.ask("/metrics")
    families = text_string_to_metric_families(text)
    return {s.labels["kind"] for family in families for s in family.samples if s.name == name}


REQUESTS = "breakwater_api_requests_total"
PASSES = "breakwater_reconcile_duration_seconds_count"


def test_every_metric_of_the_catalogue_is_there_and_counts(op: Ground) -> None:
    before = {name: total(op, name) for name in (REQUESTS, PASSES, "breakwater_probes_total")}

    op.ready("one")
    op.quiet()

    _, text = op.operator.ask("/metrics")
    assert [one.name for one in OPERATOR_METRICS if f"# TYPE {one.name}" not in text] == []
    assert [name for name, count in before.items() if total(op, name) <= count] == []
    assert values(op, REQUESTS, verb="patch", kind="Deployment", code="201") == [1.0]
    assert total(op, PASSES, outcome="done") >= 1
    verified = "breakwater_probes_total"
    eventually(lambda: total(op, verified, outcome="verified") >= 2, "both pods were asked")
    assert total(op, verified, outcome="verified") == 2
    assert values(op, "breakwater_leader") == [1.0]
    watched = {kind.name for kind in (*CHILDREN, *REFERENCED)} | {"Pod", "EndpointSlice"}
    assert watched <= kinds(op, "breakwater_informer_age_seconds")


def test_nothing_is_shown_that_is_not_in_the_catalogue(op: Ground) -> None:
    _, text = op.operator.ask("/metrics")
    families = list(text_string_to_metric_families(text))

    shown = {
        (family.name, family.type, label)
        for family in families
        for sample in family.samples
        for label in sample.labels.keys() - {"le"} or {""}
    }

    known = {
        (one.name + "_info", "gauge", label) if one.kind == "info" else (one.name, one.kind, label)
        for one in OPERATOR_METRICS
        for label in one.labels or ("",)
    }
    assert shown <= known


def test_a_wrong_manifest_is_an_outcome_of_its_own(op: Ground) -> None:
    op.apply("wrong", backends=[{"python": {"server": "a:b"}}], access={
        "serviceAccounts": {"audience": "a"},
        "jwt": {"issuer": issuer(op), "audiences": ["a"]},
    })  # fmt: skip
    op.wait("wrong", "Accepted", "False")

    assert total(op, PASSES, outcome="invalid") >= 1


def issuer(op: Ground) -> str:
    return str(op.api.get("/.well-known/openid-configuration")["issuer"])


def test_the_age_of_the_queue_tells_of_a_pass_that_hangs(op: Ground) -> None:
    arrives = threading.Event()
    late = Rule(lambda seen: seen.what == "PATCH configmaps", times=1, late=arrives)
    op.proxy.rules.append(late)
    op.apply("two")

    try:
        eventually(lambda: total(op, "breakwater_queue_age_seconds") > 1, "it grows")
    finally:
        arrives.set()
    op.wait("two", "Ready")

    # Any server may have its turn now and then.
    empty = ([0.0], [0.0])
    queue = ("breakwater_queue_age_seconds", "breakwater_queue_depth")
    eventually(lambda: tuple(values(op, name) for name in queue) == empty, "it is empty again")


def test_the_age_of_an_informer_tells_of_a_watch_that_is_cut(op: Ground) -> None:
    services = "breakwater_informer_age_seconds"
    op.proxy.cut_watches("services", hold=True)

    try:
        eventually(lambda: total(op, services, kind="Service") > 3, "it grows")
    finally:
        op.proxy.release()

    def is_heard() -> bool:
        # The API server says something of a kind when one of them changes, else once a minute.
        news = {"example.com/at": str(time.monotonic())}
        op.patch(SERVICE, "one", {"metadata": {"annotations": news}})
        return total(op, services, kind="Service") < 1

    eventually(is_heard, "it is heard again")


def test_an_operator_that_does_not_know_everything_yet_is_alive_and_not_ready(op: Ground) -> None:
    op.operator.stop()
    refused = Rule(lambda seen: seen.plural == "networkpolicies" and seen.verb == "list")
    op.proxy.rules.append(refused)

    op.operator.start()
    eventually(lambda: op.operator.ask("/readyz")[0] == 503, "it answers")
    eventually(
        lambda: op.operator.ask("/readyz")[1] == "NetworkPolicy are not listed yet\n",
        "everything else is there",
    )
    healthy = op.operator.ask("/healthz")
    op.proxy.rules.remove(refused)
    op.operator.wait_ready()

    assert healthy == (200, "ok\n")


def is_well(op: Ground) -> None:
    """Wait until it is: one that is busy for three seconds calls itself stuck here."""
    eventually(lambda: op.operator.ask("/healthz") == (200, "ok\n"), "it is well", seconds=60)


def test_a_pass_that_hangs_is_unhealthy_until_it_ends(op: Ground) -> None:
    op.ready("three")
    op.quiet()
    arrives = threading.Event()
    late = Rule(lambda seen: seen.what == "PATCH configmaps", times=1, late=arrives)
    op.proxy.rules.append(late)
    is_well(op)
    op.apply("three", limits={"inFlight": 11})

    try:
        eventually(lambda: late.hit, "the pass hangs")
        eventually(
            lambda: op.operator.ask("/healthz")[1].startswith("the queue has not moved for "),
            "it says so",
            seconds=60,
        )
        assert op.operator.ask("/healthz")[0] == 503
    finally:
        arrives.set()

    is_well(op)
    op.wait("three", "Progressing", "False")


def test_a_watch_that_has_ended_for_good_is_unhealthy_until_the_process_is_started_again(
    op: Ground,
) -> None:
    op.ready("three")
    op.proxy.tamper = lambda seen, line: (
        b'{"type":"ADDED","object":{}}\n' if seen.plural == "services" else line
    )

    def is_told() -> bool:
        news = {"example.com/at": str(time.monotonic())}
        op.patch(SERVICE, "three", {"metadata": {"annotations": news}})
        ended = "the watch of Service has ended: KeyError('metadata')\n"
        return op.operator.ask("/healthz") == (503, ended)

    try:
        eventually(is_told, "it says so", seconds=60)
    finally:
        op.proxy.tamper = None

    op.operator.kill()
    op.operator.start()
    op.operator.wait_ready()
    is_well(op)


def test_each_line_of_the_log_is_json_and_names_its_pass(op: Ground) -> None:
    # Passes are counted by each process, and there were others before.
    before = len(op.operator.log.splitlines())
    for most in (7, 8):
        op.apply("one", limits={"inFlight": most})
        op.wait("one", "Progressing", "False")
        op.quiet()

    lines: list[dict[str, Any]] = [json.loads(line) for line in op.operator.log.splitlines()]
    passes = [
        line
        for line in lines[before:]
        if line["message"] == "reconciled" and line["server"] == "one"
    ]
    last = passes[-1]
    assert all({"message", "severity", "timestamp"} <= line.keys() for line in lines)
    assert (last["namespace"], last["generation"]) == (op.namespace, 3)
    assert {"outcome", "reconcile", "seconds", "writes"} <= last.keys()
    assert len(passes) > 1
    assert len({line["reconcile"] for line in passes}) == len(passes)


def test_the_health_of_a_server_is_counted_from_its_first_pod_to_its_last(op: Ground) -> None:
    op.ready("one")
    looks = "breakwater_server_health_checks_total"
    named = {"namespace": op.namespace, "mcpserver": "one"}
    eventually(lambda: total(op, looks, outcome="healthy", **named) >= 1, "a look", seconds=90)
    assert values(op, "breakwater_server_health_failures", **named) == [0.0]

    op.delete(MCP_SERVER, "one")

    eventually(lambda: values(op, looks, **named) == [], "it is no longer told of", seconds=90)
