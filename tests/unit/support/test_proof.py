"""What a stopped proof remembers."""

from pathlib import Path

import pytest

from tests.support.rig.proof import Proof


def proof(folder: Path, total: int, whole: int | None) -> Proof:
    return Proof("p", total, 1, whole, pages=folder, states=folder, source="s", commit="c")


@pytest.mark.parametrize(
    ("whole", "left"),
    [
        pytest.param(4, [2, 3], id="goes-on-from-a-smaller-share"),
        pytest.param(None, [0, 1, 2, 3], id="begins-anew"),
    ],
)
def test_a_larger_share_goes_on_where_a_smaller_one_ended(
    tmp_path: Path, whole: int | None, left: list[int]
) -> None:
    small = proof(tmp_path, 2, whole)
    for part in small.parts():
        small.keep({"part": part})
    small.write("Title", "Text.", {})

    large = proof(tmp_path, 4, whole)

    assert list(large.parts()) == left


def test_a_whole_proof_is_forgotten(tmp_path: Path) -> None:
    first = proof(tmp_path, 2, 2)
    for part in first.parts():
        first.keep({"part": part})
    first.write("Title", "Text.", {})

    assert list(proof(tmp_path, 2, 2).parts()) == [0, 1]
