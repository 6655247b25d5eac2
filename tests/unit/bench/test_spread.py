import pytest

from bench.spread import Spread, spread


def test_rounds_are_their_median_with_the_smallest_and_the_largest() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(median=2.5, minimum=1.0, maximum=10.0)


def test_no_rounds_are_no_figure() -> None:
    with pytest.raises(ValueError, match="no rounds"):
        spread([])
