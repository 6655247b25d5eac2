"""What a pass found out is said of the McpServer that it was over, and of no newer one."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from breakwater_operator.api.models import McpServer
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import CHILDREN, OPTIONAL, SECRET
from breakwater_operator.reconcile.conclusions import Conclusions
from breakwater_operator.reconcile.events import News
from breakwater_operator.reconcile.plan import Child
from breakwater_operator.reconcile.seen import OwnerGoneError, Seen
from breakwater_operator.reconcile.servers import Servers
from breakwater_operator.reconcile.statuses import Statuses
from breakwater_operator.reconcile.write import Written

Object = dict[str, Any]

KEY = ("team-a", "crm")


class FakeApi:
    """Takes every status as it is."""

    def __init__(self) -> None:
        self.written: list[Object] = []

    async def apply(self, _: Any, manifest: Object, **__: Any) -> Object:
        self.written.append(manifest)
        return manifest


class Ground:
    """A server without children, and what is said of it."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.servers = Servers(lambda *_: None)
        nothing = SimpleNamespace(get=lambda *_: None)
        world = SimpleNamespace(
            children=dict.fromkeys((*CHILDREN, *OPTIONAL), nothing), ready_endpoints=lambda _: 0
        )
        self.posted: list[News] = []
        nobody = SimpleNamespace(saw=lambda *_: None, post=self._post, ask=self._ask)
        parts: Any = {
            "servers": self.servers,
            "world": world,
            "statuses": Statuses(cast("Any", self.api), self.servers),
            "events": nobody,
            "upgrades": nobody,
            "refusals": nobody,
        }
        self.conclusions = Conclusions(**parts, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    async def _ask(self, *_: Any, **__: Any) -> None:
        """Ask nobody."""

    def _post(self, _: Object, news: list[News]) -> None:
        self.posted += news

    async def conclude(self, made: Object, failure: ApiError | None = None) -> None:
        """Conclude from a pass over a server."""
        seen = Seen(server=McpServer.parse(made), failure=failure)
        await self.conclusions.write(KEY, made, seen, (), failures=0)


@pytest.fixture
def ground() -> Ground:
    return Ground()


def server(generation: int, *, uid: str = "u", version: int = 0) -> Object:
    return {
        "metadata": {
            "namespace": "team-a",
            "name": "crm",
            "uid": uid,
            "generation": generation,
            "resourceVersion": str(version or generation),
        },
        "spec": {"backends": [{"name": "main", "python": {"server": "a.b:mcp"}}]},
    }


async def test_what_was_edited_during_a_pass_was_not_observed_by_it(ground: Ground) -> None:
    ground.servers.saw(server(2))

    await ground.conclude(server(1))

    said = ground.api.written[0]
    assert said["metadata"]["resourceVersion"] == "2"
    assert said["status"]["observedGeneration"] == 1
    assert {one["observedGeneration"] for one in said["status"]["conditions"]} == {1}


async def test_nothing_is_said_of_another_server_of_the_name(ground: Ground) -> None:
    ground.servers.saw(server(1, uid="new", version=2))

    with pytest.raises(OwnerGoneError):
        await ground.conclude(server(1))

    assert ground.api.written == []


async def test_a_change_that_failed_once_and_is_tried_again_was_not_observed(
    ground: Ground,
) -> None:
    before = server(2) | {"status": {"observedGeneration": 1, "conditions": []}}
    ground.servers.saw(before)

    await ground.conclude(before, ApiError("conflict", status=409))

    assert ground.api.written[0]["status"]["observedGeneration"] == 1


def test_a_key_that_was_made_anew_is_told_whatever_else_of_the_pass_fails(ground: Ground) -> None:
    key = Child(SECRET, {"metadata": {"namespace": "team-a", "name": "crm-keys"}}, None)
    written = Written(failure=ApiError("conflict", status=409), created=[key])

    ground.conclusions.tell_key_changed(server(1), "crm-keys")

    assert written.has_made(SECRET, "crm-keys")
    assert not written.has_made(SECRET, "crm-live")
    assert [(one.is_good, one.reason) for one in ground.posted] == [(False, "KeyChanged")]
