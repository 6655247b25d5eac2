from collections.abc import Callable
from typing import Any

import pytest

from breakwater_operator.reconcile.settled import REMEMBERED_SECONDS, Settled

KEY = ("team-a", "crm")
OTHER = ("team-a", "erp")


def owner(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"uid": "u1", "generation": 1} | metadata}


def looked(settled: Settled[str], key: tuple[str, str] = KEY) -> None:
    settled.keep(key, settled.state(key), owner(), "seen")


def test_the_outcome_stands_while_only_the_status_changes() -> None:
    settled: Settled[str] = Settled()
    looked(settled)

    assert settled.get(KEY, owner(resourceVersion="7")) == "seen"


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(owner(generation=2), id="spec"),
        pytest.param(owner(uid="u2"), id="another-of-this-name"),
        pytest.param(owner(annotations={"a": "b"}), id="annotations"),
    ],
)
def test_it_does_not_stand_for_another_mcp_server(now: dict[str, Any]) -> None:
    settled: Settled[str] = Settled()
    looked(settled)

    assert settled.get(KEY, now) is None


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(lambda settled: settled.changed(KEY), id="change"),
        pytest.param(lambda settled: settled.all_changed(), id="change-of-all"),
        pytest.param(lambda settled: settled.forget(KEY), id="forgotten"),
    ],
)
def test_it_falls_with_a_change(happens: Callable[[Settled[str]], None]) -> None:
    settled: Settled[str] = Settled()
    looked(settled)

    happens(settled)

    assert settled.get(KEY, owner()) is None


def test_the_change_of_one_server_is_nothing_to_another() -> None:
    settled: Settled[str] = Settled()
    looked(settled)

    settled.changed(OTHER)

    assert settled.get(KEY, owner()) == "seen"


@pytest.mark.parametrize("happens", ["changed", "all_changed"])
def test_what_changed_during_a_look_is_not_in_its_outcome(happens: str) -> None:
    settled: Settled[str] = Settled()
    state = settled.state(KEY)

    settled.all_changed() if happens == "all_changed" else settled.changed(KEY)
    settled.keep(KEY, state, owner(), "seen")

    assert settled.get(KEY, owner()) is None


def test_time_ends_it_and_frees_its_memory() -> None:
    now = 0.0
    settled: Settled[str] = Settled(clock=lambda: now)
    looked(settled)

    now = REMEMBERED_SECONDS + 1
    looked(settled, OTHER)

    assert settled.get(KEY, owner()) is None
    assert list(settled._known) == [OTHER]
