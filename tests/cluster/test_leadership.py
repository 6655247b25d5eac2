"""Two replicas of the operator: one writes, and the other begins when it must."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from breakwater_operator.kube.kinds import LEASE, SERVICE
from tests.support.cluster import RunningCluster, eventually
from tests.support.faultproxy import FaultProxy, Rule
from tests.support.operator import OperatorProcess
from tests.support.operator_ground import Ground, ground

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


class Pair:
    """Two operators, each behind a proxy of its own, and which of them leads."""

    def __init__(self, first: Ground, second: OperatorProcess, proxy: FaultProxy) -> None:
        """Take two that run."""
        self.ground = first
        self.members = {
            first.operator.identity: (first.operator, first.proxy),
            second.identity: (second, proxy),
        }

    @property
    def holder(self) -> str:
        """Who holds the Lease."""
        holder: str = self.ground.find(LEASE, "breakwater")["spec"].get("holderIdentity") or ""
        return holder

    @property
    def leading(self) -> tuple[OperatorProcess, FaultProxy]:
        """The one that leads."""
        eventually(lambda: self.holder in self.members, "somebody leads")
        return self.members[self.holder]

    @property
    def waiting(self) -> tuple[OperatorProcess, FaultProxy]:
        """The other one."""
        leading = self.holder
        return next(one for name, one in self.members.items() if name != leading)

    def mended_within(self, seconds: float, name: str = "one") -> float:
        """Delete a Service and say how long it took until it was there again."""
        self.ground.delete(SERVICE, name)
        began = time.monotonic()
        eventually(
            lambda: self.ground.get(SERVICE, name) is not None, "it came back", seconds=seconds
        )
        return time.monotonic() - began


@pytest.fixture
def pair(control_plane: RunningCluster, tmp_path: Path) -> Iterator[Pair]:
    """Two operators for one namespace, and a server that is ready."""
    name = f"ha-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
    with ExitStack() as stack:
        first = stack.enter_context(ground(control_plane.kubeconfig, name, folders[0], ROOT))
        proxy = stack.enter_context(FaultProxy(control_plane.kubeconfig, folders[1]))
        second = stack.enter_context(
            OperatorProcess(
                proxy.path, control_plane.kubeconfig, folders[1], (name,), identity="two"
            )
        )
        first.ready("one")
        first.quiet()
        yield Pair(first, second, proxy)


def test_the_one_that_waits_is_ready_and_writes_nothing(pair: Pair) -> None:
    waiting, proxy = pair.waiting

    assert waiting.ask("/readyz")[0] == 200
    assert waiting.ask("/healthz")[0] == 200
    assert "breakwater_leader 0.0" in waiting.ask("/metrics")[1]
    assert proxy.writes() == []
    assert [seen for seen in proxy.seen if seen.method == "PUT"] == []


def test_a_leader_that_is_told_to_stop_hands_over(pair: Pair) -> None:
    leading, _ = pair.leading

    assert leading.stop() == 0

    pair.mended_within(10)


def test_a_leader_that_is_killed_is_followed(pair: Pair) -> None:
    leading, _ = pair.leading
    other, proxy = pair.waiting

    leading.kill()

    pair.mended_within(30)
    assert pair.holder == other.identity
    assert proxy.writes() != []


def test_a_leader_whose_network_is_cut_stops_and_does_not_come_back_as_one(pair: Pair) -> None:
    cut, cut_proxy = pair.leading
    other, _ = pair.waiting
    everything = Rule(lambda _: True, status=503)
    cut_proxy.rules.append(everything)
    cut_proxy.cut_watches(hold=True)

    pair.mended_within(30)
    assert pair.holder == other.identity
    cut_proxy.rules.remove(everything)
    healed = len(cut_proxy.seen)
    cut_proxy.release()
    eventually(
        lambda: any(seen.plural == "leases" for seen in cut_proxy.seen[healed:]), "it looks again"
    )
    pair.ground.patch(SERVICE, "one", {"metadata": {"labels": {"breakwater.dev/server": "x"}}})
    eventually(
        lambda: (
            pair.ground.find(SERVICE, "one")["metadata"]["labels"]["breakwater.dev/server"] == "one"
        ),
        "the label is put back",
    )

    assert cut_proxy.writes(healed) == []
    assert cut.process.poll() is None
    assert "breakwater_leader 0.0" in cut.ask("/metrics")[1]
