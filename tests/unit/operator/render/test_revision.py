"""Revisions: when there is a new one, and when not."""

from datetime import UTC, datetime
from typing import Any

import pytest

from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.render import Intent, revision, ring, secrets
from breakwater_operator.render.controller_revision import controller_revision
from breakwater_operator.render.revision import Revision

PLATFORM = Platform.parse({"namespace": "ops", "images": {"runtime": "registry.example/r:1"}})
NEWER = Platform.parse({"namespace": "ops", "images": {"runtime": "registry.example/r:2"}})
PYTHON: dict[str, Any] = {"server": "a:b"}


def server(uid: str = "u", **spec: Any) -> McpServer:
    metadata = {"name": "web", "namespace": "team-a", "uid": uid}
    return McpServer.parse(
        {"metadata": metadata, "spec": {"backends": [{"python": PYTHON}]} | spec}
    )


def stored(owner: McpServer, found: Revision) -> dict[str, Any]:
    keys = secrets.resolve(owner, None, None, b"s", b"f" * 32)
    shared = ring.first(owner, datetime(2026, 11, 21, tzinfo=UTC), b"f" * 32)
    return controller_revision(Intent(owner, PLATFORM, found, keys, shared, ()))


def resources(**limits: str) -> dict[str, Any]:
    return {"resources": {"limits": limits}}


@pytest.mark.parametrize(
    ("before", "after", "is_same"),
    [
        pytest.param({}, {"replicas": 5}, True, id="replicas"),
        pytest.param({}, {"suspend": True}, True, id="suspend"),
        pytest.param({}, {"access": {"keys": {"secretName": "k"}}}, True, id="keys"),
        pytest.param({}, {"pod": {}, "runtime": {}}, True, id="defaults-written-out"),
        pytest.param({"pod": resources(cpu="1")}, {"pod": resources(cpu="1000m")}, True, id="unit"),
        pytest.param({"pod": resources(cpu="1")}, {"pod": resources(cpu="2")}, False, id="cpu"),
        pytest.param(
            {"pod": resources(memory="128Mi")},
            {"pod": resources(memory="134217728")},
            True,
            id="binary-or-decimal",
        ),
        pytest.param(
            {"limits": {"sessions": {"drain": "90s"}}},
            {"limits": {"sessions": {"drain": "1m30s"}}},
            True,
            id="spelling-of-a-duration",
        ),
        pytest.param({}, {"runtime": {"image": "x:1"}}, False, id="image"),
        pytest.param(
            {"pod": {"volumes": [{"name": n, "emptyDir": {}} for n in "ab"]}},
            {"pod": {"volumes": [{"name": n, "emptyDir": {}} for n in "ba"]}},
            True,
            id="order-of-volumes",
        ),
        pytest.param(
            {"backends": [{"python": PYTHON | {"env": [{"name": n} for n in "AB"]}}]},
            {"backends": [{"python": PYTHON | {"env": [{"name": n} for n in "BA"]}}]},
            False,
            id="order-of-env",
        ),
    ],
)
def test_a_revision_is_what_belongs_to_the_identity_of_a_pod(
    before: dict[str, Any], after: dict[str, Any], is_same: bool
) -> None:
    assert (revision.name(server(**before)) == revision.name(server(**after))) is is_same


def test_a_stored_revision_is_taken_as_it_is() -> None:
    owner = server()
    first = revision.current(owner, PLATFORM, ())

    again = revision.current(owner, NEWER, [stored(owner, first)])

    assert again == first
    assert again.image == "registry.example/r:1"


def test_a_number_that_somebody_edited_is_put_right() -> None:
    owner = server()
    first = revision.current(owner, PLATFORM, ())
    kept = stored(owner, first)

    again = revision.current(owner, PLATFORM, [kept | {"revision": 7}])

    assert (again.number, stored(owner, again)["revision"]) == (1, 1)


def test_the_number_of_a_revision_of_an_older_operator_is_the_one_of_its_field() -> None:
    owner = server()
    kept = stored(owner, revision.current(owner, PLATFORM, ())) | {"revision": 4}
    del kept["data"]["number"]

    again = revision.current(owner, PLATFORM, [kept])

    assert stored(owner, again) == kept


def test_a_revision_that_was_rendered_again_is_another_and_stays_the_current_one() -> None:
    owner = server()
    first = revision.current(owner, PLATFORM, ())
    kept = [stored(owner, first)]

    again = revision.upgraded(owner, NEWER, kept)

    assert revision.is_outdated(first, owner, NEWER)
    assert not revision.is_outdated(again, owner, NEWER)
    assert again.image == "registry.example/r:2"
    assert again.name != first.name
    assert again.template["metadata"]["labels"]["breakwater.dev/revision"] == again.name
    for order in ([again, first], [first, again]):
        assert revision.current(owner, PLATFORM, [stored(owner, one) for one in order]) == again


def test_going_back_to_the_older_operator_is_an_upgrade_too() -> None:
    owner = server()
    first = revision.current(owner, PLATFORM, ())
    second = revision.upgraded(owner, NEWER, [stored(owner, first)])

    back = revision.upgraded(owner, PLATFORM, [stored(owner, first), stored(owner, second)])

    assert [each.number for each in (first, second, back)] == [1, 2, 3]
    assert len({each.name for each in (first, second, back)}) == 3
    assert not revision.is_outdated(back, owner, PLATFORM)


def test_a_revision_is_not_outdated_by_the_operator_that_made_it() -> None:
    owner = server(pod={"volumes": [{"name": "a", "emptyDir": {}}]})

    assert not revision.is_outdated(revision.current(owner, PLATFORM, ()), owner, PLATFORM)


def test_a_new_revision_is_counted_on() -> None:
    owner = server()
    first = revision.current(owner, PLATFORM, ())

    second = revision.current(server(runtime={"image": "x:1"}), PLATFORM, [stored(owner, first)])

    assert (first.number, second.number) == (1, 2)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"server": {"uid": "earlier"}}, id="of-an-earlier-server"),
        pytest.param({"version": 2}, id="of-a-newer-operator"),
        pytest.param({"template": None}, id="without-a-template"),
        pytest.param({"spec": "0" * 64}, id="under-another-name"),
    ],
)
def test_what_is_not_a_revision_of_this_server_is_rendered_anew(change: dict[str, Any]) -> None:
    owner = server()
    found = stored(owner, revision.current(owner, PLATFORM, ()))
    found["data"] |= change

    assert revision.read(found, owner) is None
    assert revision.current(owner, NEWER, [found]).image == "registry.example/r:2"


def test_the_running_revision_is_what_the_deployment_says_or_else_the_newest() -> None:
    owner = server()
    first = revision.current(owner, PLATFORM, ())
    second = revision.upgraded(owner, NEWER, [stored(owner, first)])
    kept = [stored(owner, second), stored(owner, first)]

    assert revision.running(owner, kept, first.name) == first
    assert revision.running(owner, kept, None) == second
    assert revision.running(owner, kept, "edited") == second
    assert revision.running(owner, (), first.name) is None


def test_revisions_that_nobody_needs_are_named() -> None:
    servers = [server(runtime={"image": f"x:{number}"}) for number in range(3)]
    current, running, unused = (revision.current(each, PLATFORM, ()) for each in servers)
    found = [stored(servers[0], each) for each in (current, running, unused)]

    assert revision.unused(found, current.name, [running.name]) == (found[2],)
