from collections import Counter
from typing import Any

import pytest

from bench import linear_report
from bench.scale import Measured
from bench.scale_cpu import Used
from bench.scale_phases import Done, percentile
from bench.scale_report import report


def done(seconds: float, cpu_seconds: float, writes: int) -> Done:
    counted = Counter({("patch", "Service"): writes})
    return Done(seconds, cpu_seconds, counted, counted, passes=10, cpu_seconds_in_all=cpu_seconds)


def measured(**changed: Any) -> Measured:
    good: dict[str, Any] = {
        "raw_seconds": 10.0,
        "phases": {
            "create": done(11.0, 0.08, 120),
            "live edit": done(2.0, 0.02, 40),
            "image edit": done(2.0, 0.02, 50),
        },
        "rss_mib": {"idle, no server": 90.0, "after image edit": 120.0, "at the end": 121.0},
        "drift_seconds": [0.01, 0.02, 0.03],
        "resync_edit_seconds": [0.1, 0.2],
        "resync_left": [5, 7],
        "restart_ready_seconds": 1.5,
        "restart_passed_seconds": 2.0,
        "restart_requests": {"list Service": 1, "update Lease": 1},
        "idle_requests": {"update Lease": 12, "watch Pod": 1},
    }
    return Measured(10, 200, **good | changed)


def test_good_figures_hold_every_bound() -> None:
    rows = report(measured(), {}).rows

    assert [row.what for row in rows if not row.is_met] == []


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        pytest.param({"raw_seconds": 5.0}, "applied at once", id="slower-than-the-server"),
        pytest.param({"drift_seconds": [0.1, 0.4]}, "drift", id="late-repair"),
        pytest.param({"resync_edit_seconds": [0.1, 0.6]}, "a user's edit", id="late-edit"),
        pytest.param({"restart_ready_seconds": 3.5}, "restart: until", id="slow-restart"),
        pytest.param({"restart_requests": {"patch Secret": 1}}, "restart: writes", id="writes"),
        pytest.param({"idle_requests": {"get Secret": 1}}, "idle", id="not-idle"),
    ],
)
def test_a_figure_beyond_its_bound_is_seen(changed: dict[str, Any], broken: str) -> None:
    rows = report(measured(**changed), {}).rows

    found = [row.what for row in rows if row.is_met is False]
    assert len(found) == 1
    assert broken in found[0]


def test_what_an_interrupted_run_did_not_measure_is_said() -> None:
    missing = {
        "phases": {"create": done(11.0, 0.08, 120)},
        "rss_mib": {"idle, no server": 90.0},
        "drift_seconds": [],
        "resync_edit_seconds": [],
        "restart_ready_seconds": 0.0,
        "restart_passed_seconds": 0.0,
        "idle_requests": None,
        "stopped": "it was interrupted",
    }

    made = report(measured(**missing), {})

    assert made.stopped == "it was interrupted"
    assert [row.is_met for row in made.rows] == [True, True, *[None] * (len(made.rows) - 2)]
    assert {row.note for row in made.rows[2:]} == {"not measured"}


@pytest.mark.parametrize(
    ("few", "many", "is_met"),
    [pytest.param(2.0, 2.4, True, id="linear"), pytest.param(2.0, 10.0, False, id="quadratic")],
)
def test_a_cost_that_grows_with_the_others_is_seen(few: float, many: float, is_met: bool) -> None:
    figure = "made: processor time, ms"
    before, after = (
        linear_report.Costs(1000, {figure: few}),
        linear_report.Costs(5000, {figure: many}),
    )

    made = linear_report.report(before, after, {}, raw=250, per_namespace=50)

    assert [row.is_met for row in made.rows] == [is_met]


def test_costs_beside_those_of_the_operator_are_told_without_a_bound() -> None:
    few, many = (
        linear_report.Costs(
            servers,
            {"made: processor time, ms": 2.0},
            {"made: the same writes sent raw, ms": raw},
            {"made": {"kube-apiserver": raw}},
        )
        for servers, raw in ((1000, 80.0), (5000, 400.0))
    )

    made = linear_report.report(few, many, {}, raw=250, per_namespace=50)

    assert [row.what for row in made.rows] == ["made: processor time"]
    figures, processors = made.tables
    assert figures.rows[1] == ["made: the same writes sent raw, ms", "80", "400"]
    assert processors.rows == [["made: kube-apiserver", "80", "400"]]


def test_the_page_tells_who_used_the_processors() -> None:
    ran = measured()
    ran.account.stretches["create"] = Used(2.0, {"operator": 0.5, "kube-apiserver": 1.5})
    ran.account.stretches["restart"] = Used(1.0, {"operator": 0.9})

    (table,) = [one for one in report(ran, {}).tables if one.title == "Who used the processors"]

    assert table.columns == ["", "seconds", "operator", "kube-apiserver"]
    assert table.rows == [["create", "2.0", "0.5", "1.5"], ["restart", "1.0", "0.9", "0.0"]]


def test_everything_goes_into_the_file_of_raw_figures() -> None:
    raw = measured().raw()

    assert raw["phases"]["create"]["writes"] == {"patch Service": 120}
    assert raw["drift_seconds"] == [0.01, 0.02, 0.03]


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert percentile([0.5], 0.99) == 0.5
