from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import DEPLOYMENT
from breakwater_operator.reconcile.refusals import (
    ASKED_ANNOTATION,
    LATE_SECONDS,
    SOON_SECONDS,
    Refusals,
)

KEY = ("shop", "web")


class Ground:
    """A cluster with a Deployment, and a clock."""

    def __init__(self, failure: ApiError | None = None) -> None:
        self.seconds = 1000.0
        self.asked: list[float] = []
        self.failure = failure
        cache = SimpleNamespace(writing=lambda *_: nullcontext(), wrote=lambda _: None)
        world: Any = SimpleNamespace(children={DEPLOYMENT: cache})
        self.refusals = Refusals(self, world, self.now, lambda: self.seconds)  # type: ignore[arg-type]  # the one verb it uses

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    async def merge_patch(self, *where: Any, manager: str) -> dict[str, Any]:
        *named, change = where
        assert (named, manager) == ([DEPLOYMENT, "shop", "web-a"], "breakwater")
        assert list(change["metadata"]["annotations"]) == [ASKED_ANNOTATION]
        if self.failure is not None:
            raise self.failure
        self.asked.append(self.seconds - 1000.0)
        return {}


async def test_pods_are_asked_for_ever_more_seldom_for_as_long_as_they_are_refused() -> None:
    ground = Ground()

    for _ in range(7):
        wait = await ground.refusals.ask(KEY, are_refused=True)
        assert wait is not None
        assert SOON_SECONDS <= wait <= LATE_SECONDS
        # A pass that comes early asks for nothing.
        ground.seconds += wait / 2
        assert await ground.refusals.ask(KEY, are_refused=True) == wait / 2
        ground.seconds += wait / 2

    assert ground.asked == [30.0, 60.0, 120.0, 240.0, 360.0, 480.0]


async def test_nothing_is_asked_for_once_pods_are_made_and_a_new_refusal_begins_anew() -> None:
    ground = Ground()
    await ground.refusals.ask(KEY, are_refused=True)
    ground.seconds += LATE_SECONDS

    assert await ground.refusals.ask(KEY, are_refused=False) is None
    assert await ground.refusals.ask(KEY, are_refused=True) == SOON_SECONDS
    assert ground.asked == []


async def test_a_deployment_that_is_gone_is_no_failure() -> None:
    ground = Ground(ApiError("no such Deployment", status=404, reason="NotFound"))
    await ground.refusals.ask(KEY, are_refused=True)
    ground.seconds += SOON_SECONDS

    assert await ground.refusals.ask(KEY, are_refused=True) == SOON_SECONDS
