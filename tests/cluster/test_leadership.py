"""Two replicas of the operator: one writes, and the other begins when it must."""

from __future__ import annotations

import signal
import threading
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from breakwater_operator.kube.kinds import LEASE, MCP_SERVER, SERVICE
from tests.support.cluster import RunningCluster, eventually
from tests.support.faultproxy import FaultProxy, Rule, Seen
from tests.support.operator import STOP_SECONDS, OperatorProcess
from tests.support.operator_ground import Ground, ground

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

FOLLOWED_SECONDS = 20.0
"""Within which another one writes when the leader is killed, halted or cut off."""
HANDOVER_SECONDS = 3.0
"""The same for one that is told to stop."""
CUT_SECONDS = 30.0


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

    def mended_within(self, seconds: float) -> None:
        """Wait for the Service that was deleted."""
        eventually(
            lambda: self.ground.get(SERVICE, "one") is not None, "it came back", seconds=seconds
        )

    def relabelled_is_mended(self) -> None:
        """Change a label by hand, and wait until whoever leads has put it back."""
        label = "breakwater.dev/server"
        self.ground.patch(SERVICE, "one", {"metadata": {"labels": {label: "x"}}})
        eventually(
            lambda: self.ground.find(SERVICE, "one")["metadata"]["labels"][label] == "one",
            "the label is put back",
        )


@pytest.fixture
def pair(control_plane: RunningCluster, tmp_path: Path) -> Iterator[Pair]:
    """Two operators for one namespace, and a server that is ready."""
    name = f"ha-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
    with ExitStack() as stack:
        first = stack.enter_context(ground(control_plane.kubeconfig, name, folders[0], ROOT))
        # Ready is whoever waits, too.
        eventually(lambda: leads(first.operator), "the first one leads")
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
    other, proxy = pair.waiting
    end = time.monotonic() + HANDOVER_SECONDS

    leading.process.send_signal(signal.SIGTERM)
    eventually(lambda: pair.holder != leading.identity, "it steps down", seconds=HANDOVER_SECONDS)
    pair.ground.delete(SERVICE, "one")

    pair.mended_within(end - time.monotonic())
    assert leading.process.wait(STOP_SECONDS) == 0
    assert pair.holder == other.identity
    assert proxy.writes() != []


def test_a_leader_that_is_killed_is_followed(pair: Pair) -> None:
    leading, _ = pair.leading
    other, proxy = pair.waiting

    leading.kill()
    pair.ground.delete(SERVICE, "one")

    pair.mended_within(FOLLOWED_SECONDS)
    assert pair.holder == other.identity
    assert proxy.writes() != []


def test_a_leader_whose_network_is_cut_stops_and_does_not_come_back_as_one(pair: Pair) -> None:
    cut, cut_proxy = pair.leading
    other, _ = pair.waiting
    cut_proxy.freeze()
    began = time.monotonic()
    pair.ground.delete(SERVICE, "one")

    pair.mended_within(FOLLOWED_SECONDS)
    assert pair.holder == other.identity
    # It wants to write all the time, and what it knows grows older.
    time.sleep(max(0.0, began + CUT_SECONDS - time.monotonic()))
    # A restart would mend nothing.
    assert cut.ask("/readyz")[0] == 503
    assert "the Lease was last read" in cut.ask("/readyz")[1]
    assert cut.ask("/healthz")[0] == other.ask("/readyz")[0] == 200
    healed = len(cut_proxy.seen)
    cut_proxy.thaw()
    eventually(
        lambda: any(seen.plural == "leases" for seen in cut_proxy.seen[healed:]), "it looks again"
    )
    pair.relabelled_is_mended()
    cut.wait_ready()

    assert cut_proxy.writes(healed) == []
    assert cut.process.poll() is None
    assert "breakwater_leader 0.0" in cut.ask("/metrics")[1]
    assert pair.holder == other.identity


def test_a_leader_that_was_halted_writes_nothing_and_its_last_status_comes_too_late(
    pair: Pair,
) -> None:
    halted, halted_proxy = pair.leading
    other, _ = pair.waiting
    arrives = threading.Event()
    late = Rule(lambda seen: seen.what == "PATCH mcpservers/status", times=1, late=arrives)
    halted_proxy.rules.append(late)
    pair.ground.patch(MCP_SERVER, "one", {"spec": {"limits": {"inFlight": 7}}})
    eventually(lambda: late.hit, "a status is on its way")
    halted.process.send_signal(signal.SIGSTOP)
    try:
        pair.ground.delete(SERVICE, "one")
        pair.mended_within(FOLLOWED_SECONDS)
        pair.ground.wait("one", "Progressing", "False")
        before = len(halted_proxy.seen)
        arrives.set()
        eventually(lambda: statuses(halted_proxy, before), "the late status has arrived")
    finally:
        halted.process.send_signal(signal.SIGCONT)
    eventually(lambda: "breakwater_leader 0.0" in halted.ask("/metrics")[1], "it has stepped down")
    pair.relabelled_is_mended()

    assert [seen.status for seen in halted_proxy.writes(before)] == [409]
    assert pair.holder == other.identity


def leads(operator: OperatorProcess) -> bool:
    return "breakwater_leader 1.0" in operator.ask("/metrics")[1]


def statuses(proxy: FaultProxy, since: int) -> list[Seen]:
    return [seen for seen in proxy.writes(since) if seen.plural == "mcpservers"]
