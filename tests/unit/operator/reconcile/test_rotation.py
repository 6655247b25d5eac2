from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from breakwater_operator.api.models import McpServer
from breakwater_operator.reconcile.rotation import turned
from breakwater_operator.render import Intent, live, revision, ring, secrets
from breakwater_operator.render.ring import FORGOTTEN_AFTER, ROTATED_AFTER
from breakwater_operator.status import Probe
from dev import golden

CASE = golden.cases(Path(__file__).parents[4])[0]
SERVER = McpServer.parse(CASE.documents[0])
LATER = golden.NOW + ROTATED_AFTER
FRESH = bytes([7] * 32)


@pytest.fixture
def intent() -> Intent:
    keys = secrets.resolve(SERVER, None, None, golden.SEED, golden.FRESH)
    found = revision.current(SERVER, golden.PLATFORM, ())
    first = ring.first(SERVER, golden.NOW, golden.FRESH)
    return Intent(SERVER, golden.PLATFORM, found, keys, first, (golden.OPERATOR_KEY,))


def pod(uid: str, phase: str = "Running", **metadata: str) -> dict[str, Any]:
    return {"metadata": {"uid": uid, **metadata}, "status": {"phase": phase}}


def probes(intent: Intent, *uids: str) -> dict[str, Probe]:
    return {uid: Probe(reached=True, live=live.wanted(intent)) for uid in uids}


def test_a_rotation_goes_on_as_pods_report_each_step(intent: Intent) -> None:
    """Each step changes the hash that pods report, and so waits for them anew."""
    pods, now, seen = [pod("1"), pod("2")], LATER, []
    for _ in range(3):
        before = intent
        intent = turned(intent, pods, probes(intent, "1", "2"), now, FRESH)
        seen.append(len(intent.ring.generations))
        assert live.wanted(intent) != live.wanted(before)
        # What pods said of the step before does not count for this one.
        assert turned(intent, pods, probes(before, "1", "2"), now, FRESH) == intent
        now += FORGOTTEN_AFTER

    assert seen == [2, 2, 1]


@pytest.mark.parametrize(
    ("pods", "is_turned"),
    [
        pytest.param([], True, id="none"),
        pytest.param([pod("1"), pod("2")], True, id="all-have-it"),
        pytest.param([pod("1"), pod("3")], False, id="one-not-asked"),
        pytest.param([pod("1"), pod("old")], False, id="one-behind"),
        pytest.param([pod("1"), pod("2", deletionTimestamp="now")], False, id="one-drains"),
        pytest.param([pod("1"), pod("3", phase="Failed")], True, id="one-has-ended"),
    ],
)
def test_every_pod_that_lives_has_to_have_it(
    intent: Intent, pods: list[dict[str, Any]], is_turned: bool
) -> None:
    known = {**probes(intent, "1", "2"), "old": Probe(reached=True, live="another")}

    after = turned(intent, pods, known, LATER, FRESH)

    assert (after.ring != intent.ring) is is_turned
    assert after == replace(intent, ring=after.ring)
