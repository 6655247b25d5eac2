"""A server that is paused is left as it is, until the time has come or somebody ends it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from breakwater_operator.api.pause import ANNOTATION
from breakwater_operator.kube.kinds import DEPLOYMENT, MCP_SERVER, SERVICE
from tests.support.cluster import RunningCluster, eventually
from tests.support.operator_ground import Ground, now, own_ground

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with own_ground(control_plane, tmp_path_factory, "pause") as made:
        yield made


def pause(op: Ground, name: str, until: datetime | str | None) -> None:
    text = until.isoformat() if isinstance(until, datetime) else until
    op.patch(MCP_SERVER, name, {"metadata": {"annotations": {ANNOTATION: text}}})


def meddle(op: Ground, name: str) -> None:
    """Do by hand what the operator would put right."""
    op.patch(DEPLOYMENT, f"{name}-a", {"spec": {"template": {"spec": {"hostNetwork": True}}}})
    op.delete(SERVICE, name)


def is_mended(op: Ground, name: str) -> bool:
    pod = op.find(DEPLOYMENT, f"{name}-a")["spec"]["template"]["spec"]
    return "hostNetwork" not in pod and op.get(SERVICE, name) is not None


def written(op: Ground, name: str, since: int) -> list[str]:
    """What was written of the children of a server, and of its pods."""
    return [seen.what for seen in op.writes(name, since) if seen.plural != "mcpservers"]


def paused_servers(op: Ground) -> str:
    _, text = op.operator.ask("/metrics")
    return next(line for line in text.splitlines() if line.startswith("breakwater_paused_servers "))


def test_nothing_is_written_until_the_time_has_come_and_then_everything(op: Ground) -> None:
    op.ready("one", replicas=1)
    pause(op, "one", now() + timedelta(hours=1))
    op.wait("one", "Progressing", "True", "Paused")
    op.quiet()
    since = len(op.proxy.seen)

    meddle(op, "one")
    op.apply("one", replicas=3, limits={"inFlight": 7})
    eventually(lambda: op.condition("one", "Ready").get("reason") == "Paused", "it says so")
    op.operator.kill()
    op.operator.start()
    op.operator.wait_ready()
    eventually(lambda: paused_servers(op).endswith(" 1.0"), "it is counted")
    op.quiet(2.0)

    assert written(op, "one", since) == []
    server = op.find(MCP_SERVER, "one")
    assert server["status"]["observedGeneration"] == server["metadata"]["generation"] - 1
    assert op.find(DEPLOYMENT, "one-a")["spec"]["replicas"] == 1

    until = now() + timedelta(seconds=4)
    pause(op, "one", until)
    eventually(lambda: is_mended(op, "one"), "it goes on by itself", seconds=90)

    assert now() >= until
    assert op.find(DEPLOYMENT, "one-a")["spec"]["replicas"] == 3
    op.wait("one", "Progressing", "False", seconds=90)
    assert op.condition("one", "Ready")["status"] == "True"
    assert paused_servers(op).endswith(" 0.0")


def test_a_value_that_is_no_time_stops_everything_and_says_what_to_write(op: Ground) -> None:
    op.ready("two")
    pause(op, "two", "for an hour or so")
    wrong = op.wait("two", "Accepted", "False", "SpecInvalid")
    op.quiet()
    since = len(op.proxy.seen)

    meddle(op, "two")
    op.quiet(2.0)

    assert written(op, "two", since) == []
    assert "'for an hour or so' is not a time with its zone; write one as in" in wrong["message"]
    assert paused_servers(op).endswith(" 1.0")
    pause(op, "two", None)
    eventually(lambda: is_mended(op, "two"), "it goes on", seconds=90)
    op.wait("two", "Accepted", "True")


def test_a_paused_server_is_deleted_with_all_its_children(op: Ground) -> None:
    op.ready("three")
    pause(op, "three", now() + timedelta(hours=1))
    op.wait("three", "Progressing", "True", "Paused")

    op.delete(MCP_SERVER, "three")

    eventually(lambda: op.server("three") is None, "it is gone", seconds=90)
    eventually(lambda: not op.children("three"), "so are its children", seconds=90)


def test_a_server_that_begins_paused_is_made_when_the_pause_is_over(op: Ground) -> None:
    metadata = {"annotations": {ANNOTATION: (now() + timedelta(hours=1)).isoformat()}}
    spec = {"backends": [{"name": "main", "python": {"server": "weather.main:mcp"}}]}
    op.create(MCP_SERVER, "four", metadata=metadata, spec=spec)
    eventually(lambda: op.condition("four", "Ready").get("reason") == "Paused", "it says so")
    op.quiet()
    assert op.children("four") == {}

    pause(op, "four", None)

    op.wait("four", "Ready")


def test_a_paused_server_keeps_its_host_also_from_an_operator_that_is_started_anew(
    op: Ground,
) -> None:
    host = {"host": "kept.example", "ingressClassName": "nginx"}
    op.ready("first", expose=host)
    # The API server writes the age of a route in seconds.
    time.sleep(1.1)
    op.apply("second", expose=host)
    op.wait("second", "Degraded", "True", "HostTaken")
    pause(op, "first", now() + timedelta(hours=1))
    op.wait("first", "Progressing", "True", "Paused")
    op.apply("first", expose={"host": "another.example", "ingressClassName": "nginx"})
    op.quiet()
    op.operator.kill()
    op.operator.start()
    op.operator.wait_ready()

    eventually(lambda: paused_servers(op).endswith(" 1.0"), "it is looked at", seconds=60)
    op.quiet(2.0)

    taken = op.condition("second", "Degraded")
    assert (taken["status"], taken["reason"]) == ("True", "HostTaken")
    pause(op, "first", None)
    op.wait("second", "Degraded", "False", seconds=90)
