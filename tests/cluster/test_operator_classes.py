"""Two operators in one cluster, each with servers of its own class."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from breakwater_operator.kube.kinds import DEPLOYMENT, MCP_SERVER, SERVICE
from tests.support.cluster import RunningCluster, eventually
from tests.support.faultproxy import FaultProxy
from tests.support.operator import OperatorProcess
from tests.support.operator_ground import Ground, ground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def both(control_plane: RunningCluster, tmp_path: Path) -> Iterator[tuple[Ground, Ground]]:
    """Two operators that look at the same namespace, each with a class."""
    with pair(control_plane, tmp_path, lambda colour: {"operatorClass": colour}) as made:
        yield made


@contextmanager
def pair(
    cluster: RunningCluster, tmp_path: Path, chosen: Callable[[str], dict[str, str]]
) -> Iterator[tuple[Ground, Ground]]:
    """Start two operators of different installations for one new namespace."""
    name = f"class-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    kubeconfig = cluster.kubeconfig
    platforms = {colour: {"instance": colour} | chosen(colour) for colour in ("blue", "green")}
    folders = {colour: tmp_path / colour for colour in platforms}
    for folder in folders.values():
        folder.mkdir()
    with (
        ground(kubeconfig, name, folders["blue"], ROOT, platform=platforms["blue"]) as blue,
        FaultProxy(kubeconfig, folders["green"]) as proxy,
        OperatorProcess(
            proxy.path, kubeconfig, folders["green"], (name,), platform=platforms["green"]
        ) as operator,
    ):
        yield blue, Ground(blue.api, name, proxy, operator)


def touched(op: Ground, since: int = 0) -> set[str]:
    """The servers that an operator has written anything of."""
    names = {seen.name for seen in op.proxy.writes(since) if seen.plural != "events"}
    servers = ("mine", "yours", "nobodys")
    return {name for name in servers if any(one.split("-")[0] == name for one in names)}


def test_each_looks_after_its_own_class_and_nobody_after_none(both: tuple[Ground, Ground]) -> None:
    blue, green = both
    blue.apply("nobodys")

    blue.ready("mine", operatorClass="blue")
    green.ready("yours", operatorClass="green")
    for op in both:
        op.delete(SERVICE, "mine" if op is blue else "yours")
    eventually(
        lambda: all(blue.get(SERVICE, name) for name in ("mine", "yours")), "both are put back"
    )
    for op in both:
        op.quiet(1.5)

    assert touched(blue) == {"mine"}
    assert touched(green) == {"yours"}
    assert "status" not in blue.find(MCP_SERVER, "nobodys")


def test_a_server_is_handed_over_without_a_restart(both: tuple[Ground, Ground]) -> None:
    blue, green = both
    blue.ready("mine", operatorClass="blue")
    blue.wait("mine", "Verified")
    before = blue.find(DEPLOYMENT, "mine-a")["metadata"]
    blue.settled()
    handed_over = len(blue.proxy.seen)

    green.ready("mine", operatorClass="green")
    green.delete(SERVICE, "mine")
    eventually(lambda: green.get(SERVICE, "mine") is not None, "it is put back")
    green.quiet(1.5)

    after = green.find(DEPLOYMENT, "mine-a")["metadata"]
    assert touched(blue, handed_over) == set()
    assert touched(green) == {"mine"}
    assert (after["uid"], after["generation"]) == (before["uid"], before["generation"])


def test_two_that_look_after_one_server_say_so_and_undo_each_others_writes_seldom(
    control_plane: RunningCluster, tmp_path: Path
) -> None:
    with pair(control_plane, tmp_path, lambda _: {}) as (blue, green):
        blue.apply("nobodys")

        found = blue.wait("nobodys", "Degraded", "True", "OperatorContested")
        assert "operatorClass" in found["message"]
        # Each looks every 30 seconds, and there is a while in between.
        for op in (blue, green):
            op.quiet(5.0)
        green.operator.stop()

        blue.wait("nobodys", "Degraded", "False", seconds=150)
        blue.wait("nobodys", "Ready")
        blue.quiet(2.0)
