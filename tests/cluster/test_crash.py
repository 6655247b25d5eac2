"""The operator killed at any write: the end is the same, and next to nothing is done twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.life import End, differences, lived
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
        step: How many writes are between two kills.
        is_after: Whether the write is carried out and its answer lost; else it never is.
    """

    first: int
    step: int
    is_after: bool
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
    kills = Kills(first, THINNED, is_after)

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
    points = [(first, is_after) for first in range(1, THINNED + 1) for is_after in (False, True)]
    total = max(1, int(len(points) * share))
    proof = Proof("crash", total, part=1, source=source_of_operator())

    for part in proof.parts():
        first, is_after = points[part]
        kills = Kills(first, THINNED, is_after)
        run = lived(control_plane, tmp_path_factory.mktemp("crash"), kills)
        check(run, undisturbed, kills.count)
        again = run.again - undisturbed.again
        proof.keep({"kills": kills.count, "again": again, "statuses": run.statuses_again})

    kept = {key: sum(part[key] for part in proof.done) for key in proof.done[0]}
    proof.write(
        "The operator killed at every write",
        "Five servers are made, changed, scaled, spoiled, mended and deleted, and the operator is "
        f"killed at each {THINNED}th write of that, in each life beginning one write later: once "
        "before the write is carried out and once before it is answered. Each life ends as an "
        "undisturbed one does, with the same number of objects made and deleted of each kind.",
        {
            "lives": f"{total} ({len(points)} reach every write)",
            "kills": kept["kills"],
            "applies that said the same again": f"{kept['again']} (at most one per kill)",
            "statuses that said the same again": f"{kept['statuses']} (at most one per kill)",
        },
    )
