"""What a valid manifest may mean otherwise than its writer thinks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from breakwater_operator.api.models import McpServer
from breakwater_operator.status import Facts
from breakwater_operator.status.conditions import accepted
from breakwater_operator.status.hints import DRAINS_WAIT, due_seconds, hints

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ENDS = {"access": {"permissive": {"until": "2026-02-01"}}}
END = datetime(2026, 2, 1, tzinfo=UTC)


def server(**spec: Any) -> McpServer:
    metadata = {"name": "web", "namespace": "team-a", "uid": "u", "generation": 3}
    known = {"backends": [{"python": {"server": "a:b"}}], "egress": "Internet"}
    return McpServer.parse({"metadata": metadata, "spec": known | spec})


def facts(now: datetime, **spec: Any) -> Facts:
    return Facts(name="web", namespace="team-a", generation=3, now=now, server=server(**spec))


def test_a_manifest_that_is_taken_as_it_is_meant_gets_no_hint() -> None:
    assert list(hints(server(), NOW)) == []


def test_who_is_let_in_until_a_date_is_told_when_it_has_come() -> None:
    before, after = facts(END - timedelta(seconds=1), **ENDS), facts(END, **ENDS)

    assert accepted(before).message == "the manifest is valid"
    assert accepted(after).message == (
        "the manifest is valid; spec.access.permissive ended at 2026-02-01: callers without a "
        "credential are refused again, and the field can be removed"
    )
    assert accepted(after).status == "True"


def test_a_year_later_the_hint_is_the_same() -> None:
    after = facts(END, **ENDS)

    assert accepted(replace(after, now=END + timedelta(days=365))) == accepted(after)


@pytest.mark.parametrize(
    ("now", "spec", "due"),
    [
        pytest.param(END - timedelta(seconds=7), ENDS, 7.0, id="ends"),
        pytest.param(END, ENDS, None, id="has-ended"),
        pytest.param(NOW, {}, None, id="nobody-is-let-in"),
    ],
)
def test_the_date_is_looked_forward_to(now: datetime, spec: Any, due: float | None) -> None:
    assert due_seconds(facts(now, **spec)) == due


def test_a_manifest_that_is_refused_looks_forward_to_nothing() -> None:
    assert due_seconds(replace(facts(NOW, **ENDS), server=None)) is None


LOAD = {"autoscaling": {"min": 2, "max": 4}}


@pytest.mark.parametrize(
    ("disruption", "spec", "waits"),
    [
        pytest.param({"maxUnavailable": 0}, {}, True, id="none"),
        pytest.param({"maxUnavailable": "0%"}, {}, True, id="no-part"),
        pytest.param({"maxUnavailable": 0}, LOAD, True, id="none-by-load"),
        pytest.param({"maxUnavailable": 1}, {}, False, id="one"),
        pytest.param({"maxUnavailable": "1%"}, {}, False, id="a-part-is-at-least-one"),
        pytest.param({"minAvailable": 2}, {}, True, id="all"),
        pytest.param({"minAvailable": 3}, {}, True, id="more-than-there-are"),
        pytest.param({"minAvailable": 1}, {}, False, id="one-of-two"),
        pytest.param({"minAvailable": "51%"}, {}, True, id="a-part-is-rounded-up"),
        pytest.param({"minAvailable": "50%"}, {}, False, id="half"),
        pytest.param({"minAvailable": 2}, LOAD, False, id="load-may-bring-more"),
        pytest.param({"minAvailable": 4}, LOAD, True, id="as-many-as-load-may-bring"),
        pytest.param({"minAvailable": 1}, {"replicas": 0}, False, id="no-pods"),
    ],
)
def test_a_budget_that_lets_no_pod_go_is_told(disruption: Any, spec: Any, waits: bool) -> None:
    found = list(hints(server(pod={"disruption": disruption}, **spec), NOW))

    assert (DRAINS_WAIT in found) is waits


@pytest.mark.parametrize(
    ("least", "waits"), [pytest.param(2, False, id="two"), pytest.param("100%", True, id="all")]
)
def test_of_a_server_that_others_scale_nobody_knows_how_many_pods_there_are(
    least: Any, waits: bool
) -> None:
    scaled = server(pod={"disruption": {"minAvailable": least}})

    found = hints(scaled.model_copy(update={"is_scaled_by_others": True}), NOW)

    assert (DRAINS_WAIT in list(found)) is waits
