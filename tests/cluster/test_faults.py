"""An API server that fails in every way it can: the end is the same, and the same was made."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from dev.cluster.local import processes
from tests.support.faultproxy import Rule
from tests.support.life import SERVERS, End, at_once, differences, groups, lived
from tests.support.rig.proof import Proof, source_of_operator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.support.cluster import RunningCluster
    from tests.support.faultproxy import Seen
    from tests.support.operator_ground import Ground


@dataclass
class Answers:
    """Some requests are answered otherwise.

    Attributes:
        every: To each so-manieth of those that match it happens.
        rule: What happens.
    """

    every: int
    rule: Rule

    def __call__(self, op: Ground) -> None:
        """Arrange it."""
        self.rule.every = self.every
        op.proxy.rules.append(self.rule)

    @property
    def hit(self) -> int:
        """How often it happened."""
        return self.rule.hit


def is_request(seen: Seen) -> bool:
    """Anything but a watch and the Lease."""
    return not seen.is_watch and seen.plural != "leases"


def is_write(seen: Seen) -> bool:
    """Anything that may have changed something."""
    return seen.is_write


ANSWERS: dict[str, Callable[[], Rule]] = {
    "conflict": lambda: Rule(is_write, 409, reason="Conflict"),
    "too-many": lambda: Rule(is_request, 429, headers={"Retry-After": "1"}),
    "failure": lambda: Rule(is_request, 500),
    "reset": lambda: Rule(is_request, 0),
    "lost": lambda: Rule(is_write, 0, is_after=True),
    "timed-out-when-done": lambda: Rule(is_write, 504, is_after=True),
    "unanswered": lambda: Rule(is_write, 0, hold_seconds=20.0, times=4),
}
"""What may come of a request. The operator waits 15 seconds for an answer."""


def line(event: str, **content: Any) -> bytes:
    """Write an event of a watch."""
    return json.dumps({"type": event, "object": content}).encode() + b"\n"


EXPIRED = line("ERROR", kind="Status", code=410, reason="Expired", message="injected")
REPLAY_SECONDS = 2.0
AGAIN = "applies that said the same again"


@dataclass
class Watches:
    """Watches that miss what happened.

    At each so-manieth event one is cut, or says that it cannot go on, or keeps the event to itself
    and is cut or cannot go on a little later.
    """

    every: int
    what: str
    hit: int = 0
    events: int = 0
    losing: list[Seen] = field(default_factory=list)
    """Watches that have kept something to themselves and are still open; of a kind there are two
    where the operator follows its own objects and those that servers refer to."""
    cut: set[bytes] = field(default_factory=set)
    """Events at which a watch ended, or which it lost: the next one may begin with them, and gets
    further."""

    def __call__(self, op: Ground) -> None:
        """Arrange it."""
        self.proxy = op.proxy
        op.proxy.tamper = self.tamper

    def tamper(self, seen: Seen, told: bytes) -> bytes | None:
        """Say what is told instead of an event."""
        is_bookmark = told.startswith(b'{"type":"BOOKMARK"')
        if any(each is seen for each in self.losing):
            # Whatever is told now would say that everything before it was told.
            return EXPIRED
        self.events += not is_bookmark
        if is_bookmark or self.events % self.every or told in self.cut:
            return told
        self.hit += 1
        self.cut.add(told)
        if self.what == "cut":
            return None
        if self.what == "expire":
            return EXPIRED
        self.losing.append(seen)
        # Where nothing comes after it, it is told again.
        threading.Timer(REPLAY_SECONDS, self.proxy.cut_watches, [seen.plural]).start()
        return b""


@dataclass
class StaleLists(Watches):
    """Watches expire, and each list says what the first one said: an API server behind others."""

    what: str = "expire"

    def __call__(self, op: Ground) -> None:
        """Arrange it."""
        super().__call__(op)
        op.proxy.is_stale = True


@dataclass
class Killed:
    """The API server is killed at some writes, and started again."""

    cluster: RunningCluster
    at: tuple[int, ...] = (5, 40, 75, 100)
    hit: int = 0

    def __call__(self, op: Ground) -> None:
        """Arrange it."""
        op.proxy.before_write = self.hook

    def hook(self, number: int) -> bool:
        """Kill it at a write, which does not come through."""
        if number not in self.at:
            return False
        self.hit += 1
        layout = self.cluster.cluster._layout
        processes.stop([processes.running(layout)["kube-apiserver"]])
        threading.Thread(target=self.cluster.cluster.up).start()
        return True


def disturbed(cluster: RunningCluster, folder: Path, *faults: Any) -> tuple[End, int]:
    """Live a life under faults; say how it ended, and how many there were."""

    def disturb(op: Ground) -> None:
        for fault in faults:
            fault(op)

    run = lived(cluster, folder, disturb)
    return run, sum(fault.hit for fault in faults)


def check(run: End, undisturbed: End, hits: int, *, unanswered: int = 0) -> None:
    """Hold a disturbed life against the undisturbed one.

    Args:
        run: The disturbed one.
        undisturbed: The other.
        hits: How many faults there were.
        unanswered: How many writes may have been executed without anybody having seen an answer;
            the apply that follows finds the object there, and counts as none.
    """
    assert hits >= 1
    assert differences(run.state, undisturbed.state) == []
    assert not run.created - undisturbed.created
    assert (undisturbed.created - run.created).total() <= unanswered
    assert run.deleted == undisturbed.deleted
    assert run.again <= undisturbed.again + hits
    assert run.statuses_again <= hits


def test_failing_requests_change_neither_the_end_nor_what_is_made(
    control_plane: RunningCluster, undisturbed: End, tmp_path: Path
) -> None:
    steps = zip((29, 61, 37, 43, 47, 71, 53), ANSWERS.values(), strict=True)

    run, hits = disturbed(control_plane, tmp_path, *(Answers(n, make()) for n, make in steps))

    check(run, undisturbed, hits)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(partial(Watches, 9, "lose"), id="lost"),
        pytest.param(partial(StaleLists, 11), id="expired-and-listed-as-they-were"),
    ],
)
def test_watches_that_miss_things_change_neither_the_end_nor_what_is_made(
    control_plane: RunningCluster,
    undisturbed: End,
    tmp_path: Path,
    make: Callable[[], Watches],
) -> None:
    run, hits = disturbed(control_plane, tmp_path, make())

    check(run, undisturbed, hits)


def test_an_api_server_that_is_killed_changes_neither_the_end_nor_what_is_made(
    control_plane: RunningCluster, undisturbed: End, tmp_path: Path
) -> None:
    run, hits = disturbed(control_plane, tmp_path, Killed(control_plane, (20,)))

    # As many as there are servers: each is in one pass, which writes one thing after the other.
    check(run, undisturbed, hits, unanswered=hits * len(SERVERS))


Fault: TypeAlias = "tuple[str, Callable[[], Any]]"
"""The name of a fault, and what arranges it."""


def points() -> list[Fault]:
    """Every fault on its own, often and less often: first of all each of them once."""
    answers: list[list[Fault]] = [
        [(name, partial(_answers, every, make)) for every in (4, 7)]
        for name, make in ANSWERS.items()
    ]
    watches: list[list[Fault]] = [
        [(f"watch {what}", partial(Watches, every, what)) for every in (1, 3, 7)]
        for what in ("cut", "expire", "lose")
    ]
    stale: list[Fault] = [("stale list", partial(StaleLists, every)) for every in (5, 11)]
    turns = itertools.zip_longest(*answers, *watches, stale)
    return [point for turn in turns for point in turn if point is not None]


def _answers(every: int, make: Callable[[], Rule]) -> Answers:
    return Answers(every, make())


@pytest.mark.prove
def test_every_fault_changes_neither_the_end_nor_what_is_made(
    control_plane: RunningCluster,
    undisturbed: End,
    tmp_path_factory: pytest.TempPathFactory,
    share: float,
) -> None:
    every: list[Sequence[Fault]] = [*groups(points())]
    every += [[("API server killed", partial(Killed, control_plane))]]
    total = max(1, int(len(every) * share))
    proof = Proof("faults", total, part=1, source=source_of_operator(), whole=len(every))

    def live(point: Fault) -> Counter[str]:
        name, make = point
        run, hits = disturbed(control_plane, tmp_path_factory.mktemp("faults"), make())
        unanswered = hits * len(SERVERS) if point in every[-1] else 0
        check(run, undisturbed, hits, unanswered=unanswered)
        again = run.again - undisturbed.again
        return Counter({f"faults: {name}": hits, "lives": 1, AGAIN: again})

    for part in proof.parts():
        proof.keep(dict(sum(at_once(live, every[part]), Counter())))

    kept: Counter[str] = sum(map(Counter, proof.done), Counter())
    lives, again = kept.pop("lives"), kept.pop(AGAIN, 0)
    proof.write(
        "The operator under a failing API server",
        "The life of the crash sweep, through a proxy that fails. Each ends as an undisturbed one "
        "does, with the same number of objects made and deleted of each kind.",
        {"lives": f"{lives} ({sum(map(len, every))} are all)", **kept, AGAIN: again},
    )
