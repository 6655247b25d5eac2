"""Two operators in one cluster, each with servers of its own class."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from breakwater_operator.kube.kinds import DEPLOYMENT, MCP_SERVER, SERVICE
from tests.support.cluster import RunningCluster, eventually
from tests.support.faultproxy import FaultProxy
from tests.support.operator import OperatorProcess
from tests.support.operator_ground import Ground, ground

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def both(control_plane: RunningCluster, tmp_path: Path) -> Iterator[tuple[Ground, Ground]]:
    """Two operators that look at the same namespace."""
    name = f"class-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    kubeconfig = control_plane.kubeconfig
    platforms = {
        colour: {"operatorClass": colour, "instance": colour} for colour in ("blue", "green")
    }
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
    before = blue.find(DEPLOYMENT, "mine-a")["metadata"]
    blue.quiet()
    handed_over = len(blue.proxy.seen)

    green.ready("mine", operatorClass="green")
    green.delete(SERVICE, "mine")
    eventually(lambda: green.get(SERVICE, "mine") is not None, "it is put back")
    green.quiet(1.5)

    after = green.find(DEPLOYMENT, "mine-a")["metadata"]
    assert touched(blue, handed_over) == set()
    assert touched(green) == {"mine"}
    assert (after["uid"], after["generation"]) == (before["uid"], before["generation"])
