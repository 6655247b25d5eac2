"""The operator killed at any write: the end is the same, and next to nothing is done twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.life import End, at_once, differences, groups, lived
from tests.support.rig.proof import Proof, source_of_operator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cluster import RunningCluster
    from tests.support.operator_ground import Ground

THINNED = 12
"""In `make test` it is killed at each so-manieth write."""


@dataclass
class Kills:
    """Kill the operator at writes that are so many apart.

    Attributes:
        first: The first write at which it is killed, counted from when it began to lead.
        is_after: Whether the write is carried out and its answer lost; else it never is.
        step: How many writes are between two kills.
    """

    first: int
    is_after: bool
    step: int = THINNED
    count: int = 0

    def __call__(self, op: Ground) -> None:
        """Arrange them."""
        begun = op.proxy.written

        def hook(number: int) -> bool:
            number -= begun
            if number < self.first or (number - self.first) % self.step:
                return False
            self.count += 1
            op.operator.process.kill()
            return True

        if self.is_after:
            op.proxy.after_write = hook
        else:
            op.proxy.before_write = hook


def check(run: End, undisturbed: End, kills: int) -> None:
    assert differences(run.state, undisturbed.state) == []
    assert run.created == undisturbed.created
    assert run.deleted == undisturbed.deleted
    assert run.again <= undisturbed.again + kills
    assert run.statuses_again <= kills


@pytest.mark.parametrize(
    ("first", "is_after"),
    [
        pytest.param(5, False, id="before-it-is-done"),
        pytest.param(11, True, id="before-it-is-answered"),
    ],
)
def test_kills_change_neither_the_end_nor_what_is_made(
    control_plane: RunningCluster,
    undisturbed: End,
    tmp_path: Path,
    first: int,
    is_after: bool,
) -> None:
    kills = Kills(first, is_after)

    run = lived(control_plane, tmp_path, kills)

    assert kills.count >= 5
    check(run, undisturbed, kills.count)


def test_an_undisturbed_life_does_everything_once(undisturbed: End) -> None:
    assert undisturbed.again == 1, "what somebody edited is put back"
    assert undisturbed.statuses_again == 0


@pytest.mark.prove
def test_a_kill_at_every_write_changes_neither_the_end_nor_what_is_made(
    control_plane: RunningCluster,
    undisturbed: End,
    tmp_path_factory: pytest.TempPathFactory,
    share: float,
) -> None:
    every = groups([(n, is_after) for n in range(1, THINNED + 1) for is_after in (False, True)])
    total = max(1, int(len(every) * share))
    proof = Proof("crash", total, part=1, source=source_of_operator(), whole=len(every))

    def live(point: tuple[int, bool]) -> Counter[str]:
        kills = Kills(*point)
        run = lived(control_plane, tmp_path_factory.mktemp("crash"), kills)
        check(run, undisturbed, kills.count)
        again = run.again - undisturbed.again
        return Counter(lives=1, kills=kills.count, again=again, statuses=run.statuses_again)

    for part in proof.parts():
        proof.keep(dict(sum(at_once(live, every[part]), Counter())))

    kept: Counter[str] = sum(map(Counter, proof.done), Counter())
    proof.write(
        "The operator killed at every write",
        "Five servers are made, changed, scaled, spoiled, mended and deleted, and the operator is "
        f"killed at each {THINNED}th write of that, in each life beginning one write later: once "
        "before the write is carried out and once before it is answered. Each life ends as an "
        "undisturbed one does, with the same number of objects made and deleted of each kind.",
        {
            "lives": f"{kept['lives']} ({sum(map(len, every))} reach every write)",
            "kills": kept["kills"],
            "applies that said the same again": f"{kept['again']} (at most one per kill)",
            "statuses that said the same again": f"{kept['statuses']} (at most one per kill)",
        },
    )
