import pytest

from bench.report import Bound, Row

AT_LEAST_5_X = Bound(5, at_least=True, of_ratio=True)
AT_MOST_60 = Bound(60, at_least=False)


@pytest.mark.parametrize(
    ("figure", "ratio", "bound", "is_met"),
    [
        pytest.param(14_000, 5.0, AT_LEAST_5_X, True, id="ratio-at-its-bound"),
        pytest.param(14_000, 4.9, AT_LEAST_5_X, False, id="ratio-below"),
        pytest.param(14_000, None, AT_LEAST_5_X, None, id="no-peer-to-compare-with"),
        pytest.param(60, 0.1, AT_MOST_60, True, id="figure-at-its-bound"),
        pytest.param(61, 0.1, AT_MOST_60, False, id="figure-above"),
        pytest.param(None, None, AT_MOST_60, None, id="not-measured"),
        pytest.param(61, None, None, None, id="no-bound"),
    ],
)
def test_a_bound_is_held_against_the_number_that_it_is_about(
    figure: float | None, ratio: float | None, bound: Bound | None, is_met: bool | None
) -> None:
    assert Row("p99", figure, ratio=ratio, bound=bound).is_met is is_met
