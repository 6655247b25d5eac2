"""The operator's signing key is followed by another, and every server stays verified."""

from __future__ import annotations

import base64
import json
import uuid
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import CONFIG_MAP, SECRET
from breakwater_operator.probe.token import SigningKey
from breakwater_operator.reconcile.signing import NEW, ROTATED_ANNOTATION
from tests.support.cluster import RunningCluster, eventually
from tests.support.operator_ground import Ground, ground

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SERVERS = ("one", "two")
KEY = "breakwater-signing-key"


@pytest.fixture
def op(
    request: pytest.FixtureRequest, control_plane: RunningCluster, tmp_path: Path
) -> Iterator[Ground]:
    """An operator of two servers, whose pods take a while to load what is new."""
    name = f"key-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    slow = {"BREAKWATER_TEST_LAG_SECONDS": getattr(request, "param", "3")}
    with ground(control_plane.kubeconfig, name, tmp_path, ROOT, environment=slow) as made:
        for server in SERVERS:
            made.ready(server)
        made.quiet()
        yield made


def published(op: Ground, server: str) -> tuple[str, ...]:
    settings = json.loads(op.find(CONFIG_MAP, f"{server}-live")["data"]["v1.json"])
    return tuple(key["kid"] for key in settings["operatorKeys"])


def verified(op: Ground) -> list[Any]:
    found = [op.condition(server, "Verified") for server in SERVERS]
    return [(one["status"], one["lastTransitionTime"]) for one in found]


def written(op: Ground, server: str, since: int) -> list[tuple[str, ...]]:
    """The keys that were published for a server, one set after the other."""
    found = [
        json.loads(json.loads(seen.body)["data"]["v1.json"])
        for seen in op.proxy.writes(since)
        if (seen.what, seen.name, seen.status) == ("PATCH configmaps", f"{server}-live", 200)
    ]
    each = [tuple(key["kid"] for key in settings["operatorKeys"]) for settings in found]
    return [keys for keys, _ in groupby(each)]


def follow(op: Ground, first: str, since: int) -> str:
    """Wait until one key has followed another one in every server, by way of both; get the new one.

    Args:
        op: Where.
        first: The key of before.
        since: How many requests had been seen then.
    """

    def is_over() -> bool:
        now = [published(op, server) for server in SERVERS]
        return all(len(keys) == 1 and keys != (first,) for keys in now)

    eventually(is_over, "one key has followed the other", seconds=60)
    for server in SERVERS:
        op.wait(server, "Progressing", "False")

    (last,) = published(op, SERVERS[0])
    steps = [written(op, server, since) for server in SERVERS]
    assert steps == [[(first, last), (last,)]] * len(SERVERS)
    assert sorted(op.find(SECRET, KEY)["data"]) == ["key.pem", "seed"]
    return last


def test_one_key_follows_another_in_steps_that_no_server_notices(op: Ground) -> None:
    (first,), since, seen = published(op, "one"), verified(op), len(op.proxy.seen)
    op.patch(
        SECRET, KEY, {"metadata": {"annotations": {ROTATED_ANNOTATION: "2000-01-01T00:00:00Z"}}}
    )

    follow(op, first, seen)

    assert verified(op) == since


def test_an_operator_that_comes_to_lead_in_the_middle_of_it_asks_the_pods_first(
    op: Ground,
) -> None:
    (first,), since, seen = published(op, "one"), verified(op), len(op.proxy.seen)
    op.operator.stop()
    following = SigningKey.fresh()
    op.patch(SECRET, KEY, {"data": {NEW: base64.b64encode(following).decode()}})
    op.operator.start()

    assert follow(op, first, seen) == SigningKey.read(following).public.kid
    assert verified(op) == since


@pytest.mark.parametrize("op", [pytest.param("10", id="time-to-spoil-it")], indirect=True)
def test_a_secret_that_is_spoiled_in_the_middle_of_it_is_followed_once_it_is_mended(
    op: Ground,
) -> None:
    (first,) = published(op, "one")
    early = {"metadata": {"annotations": {ROTATED_ANNOTATION: "2000-01-01T00:00:00Z"}}}
    op.patch(SECRET, KEY, early)
    eventually(lambda: NEW in op.find(SECRET, KEY)["data"], "another key")
    eventually(lambda: len(published(op, "one")) == 2, "it is published")
    op.patch(SECRET, KEY, {"data": {NEW: base64.b64encode(b"no key").decode()}})
    eventually(lambda: "signing keys stay as they are" in op.operator.log, "it is told of")

    op.patch(SECRET, KEY, {"data": {NEW: None}})

    def is_back() -> bool:
        return all(published(op, server) == (first,) for server in SERVERS)

    eventually(is_back, "there is one key", seconds=60)
    for server in SERVERS:
        op.wait(server, "Progressing", "False")
        op.wait(server, "Verified")
    seen = len(op.proxy.seen)
    op.patch(SECRET, KEY, early)
    follow(op, first, seen)


def test_a_key_that_is_lost_while_an_operator_runs_is_made_again_as_it_was(op: Ground) -> None:
    before = op.find(SECRET, KEY)
    op.delete(SECRET, KEY)

    eventually(lambda: op.get(SECRET, KEY) is not None, "it is there again")

    again = op.find(SECRET, KEY)
    assert again["metadata"]["uid"] != before["metadata"]["uid"]
    assert again["data"] == before["data"]


def test_a_key_that_was_lost_while_no_operator_ran_is_replaced_and_pods_learn_of_it(
    op: Ground,
) -> None:
    before = op.find(SECRET, KEY)["data"]
    keys = published(op, "one")
    op.operator.stop()
    op.delete(SECRET, KEY)
    op.operator.start()
    op.operator.wait_ready()
    eventually(lambda: published(op, "one") != keys, "a new key", seconds=60)
    for server in SERVERS:
        op.wait(server, "Progressing", "False")
        op.wait(server, "Verified")

    assert op.find(SECRET, KEY)["data"] != before
