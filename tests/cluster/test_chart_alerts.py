"""The alerts about the operator itself, as Prometheus reads and evaluates them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from breakwater_contract.metrics import OPERATOR_METRICS
from dev.cluster import build
from dev.cluster.local import LocalCluster
from dev.cluster.settings import Settings
from dev.prerequisites import Program, require

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/breakwater"
RUNBOOKS = ROOT / "docs/how-to/operator-alerts.md"
KIND = "monitoring.coreos.com/v1/PrometheusRule"

Object = dict[str, Any]

REPLICA = 'namespace="infra",service="breakwater-operator-metrics",pod="{}"'
ELSEWHERE = REPLICA.format("a").replace("infra", "other")


def rendered(*options: str) -> list[Object]:
    """Render the chart's rules; none where it brings none."""
    helm = LocalCluster(Settings.from_environment(), "alerts").program(build.HELM) / "helm"
    command = [
        *(str(helm), "template", "breakwater", str(CHART), "--namespace", "infra"),
        *("--kube-version", "1.31.0", "--set", "image.registry=registry.example", *options),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    return [one for one in objects if one["kind"] == "PrometheusRule"]


@pytest.fixture(scope="module")
def groups() -> Object:
    (found,) = rendered("--api-versions", KIND)
    spec: Object = found["spec"]
    return spec


def promtool(*arguments: str) -> str:
    require([Program("promtool", "prometheus")])
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts(groups: Object) -> dict[str, Object]:
    return {rule["alert"]: rule for group in groups["groups"] for rule in group["rules"]}


def series(name: str, values: str, labels: str = "", **replicas: str) -> list[Object]:
    """What a metric says each minute, of one replica where no other is named."""
    more = f",{labels}" if labels else ""
    said = replicas or {"a": values}
    return [
        {"series": f"{name}{{{REPLICA.format(pod)}{more}}}", "values": what}
        for pod, what in said.items()
    ]


LEADS = series("breakwater_leader", "", a="1x60", b="0x60")
FIRING = {
    "BreakwaterOperatorNoLeader": (series("breakwater_leader", "", a="0x60", b="0x60"), "6m"),
    "BreakwaterReconcileFailing": (series("breakwater_failing_servers", "1x60"), "16m"),
    "BreakwaterQueueStuck": (series("breakwater_queue_age_seconds", "0+60x60"), "12m"),
    "BreakwaterInformerStale": (
        series("breakwater_informer_age_seconds", "0+60x60", 'kind="Pod"'),
        "12m",
    ),
    "BreakwaterServersPaused": (series("breakwater_paused_servers", "1x1500"), "1441m"),
}
"""What each alert is for, and when it is told."""

SILENT = {
    "BreakwaterOperatorNoLeader": (LEADS, "30m"),
    # One that is told again and again, and mended each time within ten minutes.
    "BreakwaterReconcileFailing": (
        series("breakwater_failing_servers", "1x10 0x5 1x10 0x5 1x10"),
        "40m",
    ),
    "BreakwaterQueueStuck": (series("breakwater_queue_age_seconds", "290x60"), "30m"),
    "BreakwaterInformerStale": (
        series("breakwater_informer_age_seconds", "59x60", 'kind="Pod"'),
        "30m",
    ),
    "BreakwaterServersPaused": (series("breakwater_paused_servers", "1x720 0x800"), "1445m"),
}
"""What is no reason for it."""


def evaluated(
    folder: Path, groups: Object, cases: Sequence[tuple[str, list[Object], str]], *, fires: bool
) -> None:
    """Have Prometheus evaluate the rules over made-up series."""
    (folder / "rules.yaml").write_text(json.dumps(groups))
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": said,
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)',
                    "eval_time": when,
                    "exp_samples": [{"labels": "{}", "value": int(fires)}],
                }
            ],
        }
        for name, said, when in cases
    ]
    file = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "tests.yaml").write_text(json.dumps(file))
    promtool("test", "rules", str(folder / "tests.yaml"))


def test_prometheus_takes_the_rules(groups: Object, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(json.dumps(groups))

    assert "5 rules found" in promtool("check", "rules", str(tmp_path / "rules.yaml"))


def test_each_alert_fires_for_what_it_is_for(groups: Object, tmp_path: Path) -> None:
    assert FIRING.keys() == alerts(groups).keys()

    cases = [(name, said, when) for name, (said, when) in FIRING.items()]
    evaluated(tmp_path, groups, cases, fires=True)


def test_each_alert_is_silent_otherwise(groups: Object, tmp_path: Path) -> None:
    assert SILENT.keys() == alerts(groups).keys()

    cases = [(name, said, when) for name, (said, when) in SILENT.items()]
    evaluated(tmp_path, groups, cases, fires=False)


def test_an_operator_that_is_not_there_leads_nobody_though_another_one_does(
    groups: Object, tmp_path: Path
) -> None:
    others = [{"series": f"breakwater_leader{{{ELSEWHERE}}}", "values": "1x60"}]

    evaluated(tmp_path, groups, [("BreakwaterOperatorNoLeader", others, "6m")], fires=True)


def test_alerts_name_what_there_is_and_where_to_read_on(groups: Object) -> None:
    known = {metric.name for metric in OPERATOR_METRICS}
    headings = [
        line.removeprefix("## ")
        for line in RUNBOOKS.read_text().splitlines()
        if line.startswith("## ")
    ]

    for name, rule in alerts(groups).items():
        assert set(re.findall(r"breakwater_\w+", rule["expr"])) <= known
        where = f"docs/how-to/operator-alerts.md#{name.lower()}"
        assert rule["annotations"]["runbook"] == where
    assert headings == list(alerts(groups))


@pytest.mark.parametrize(
    ("asked", "known", "is_there"),
    [
        ("Auto", True, True),
        ("Auto", False, False),
        ("Always", False, True),
        ("Never", True, False),
    ],
)
def test_rules_are_there_where_the_cluster_knows_them_or_as_told(
    asked: str, known: bool, is_there: bool
) -> None:
    kinds = ("--api-versions", KIND) if known else ()

    found = rendered(
        *kinds,
        *("--set", f"operator.prometheusRule={asked}"),
        *("--set", "platform.monitoring.labels.team=sre"),
    )

    assert len(found) == is_there
    assert all(one["metadata"]["labels"]["team"] == "sre" for one in found)
