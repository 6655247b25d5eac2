"""The operator's own Secret, and how one signing key follows another."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from breakwater_operator.api.errors import ClusterError
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import Kind
from breakwater_operator.probe.token import SigningKey, best
from breakwater_operator.reconcile import keeper, signing
from breakwater_operator.reconcile.keeper import Keeper
from breakwater_operator.reconcile.signing import (
    DROPPED_AFTER,
    ROTATED_AFTER,
    ROTATED_ANNOTATION,
    Signing,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOON + ROTATED_AFTER
PLATFORM = Platform.parse({"namespace": "ops", "images": {"runtime": "registry.example/r:1"}})


class FakeApi:
    """Holds one Secret, as the API server does."""

    def __init__(self) -> None:
        self.live: dict[str, Any] | None = None
        self.writes = 0

    async def get(self, *_: Any, **__: Any) -> dict[str, Any]:
        if self.live is None:
            raise ApiError("there is none", status=404)
        return self.live

    async def create(self, _: Kind, manifest: dict[str, Any], **__: Any) -> dict[str, Any]:
        metadata = manifest["metadata"] | {"creationTimestamp": at(NOON)}
        return self._store(manifest | {"metadata": metadata})

    async def replace(self, _: Kind, live: dict[str, Any], **__: Any) -> dict[str, Any]:
        held = await self.get()
        if live["metadata"]["resourceVersion"] != held["metadata"]["resourceVersion"]:
            raise ApiError("it has changed", status=409)
        return self._store(live)

    def _store(self, live: dict[str, Any]) -> dict[str, Any]:
        self.writes += 1
        version = {"resourceVersion": str(self.writes), "namespace": "ops", "name": "key"}
        self.live = live | {"metadata": live["metadata"] | version}
        return self.live


def at(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def entropy(count: int) -> bytes:
    return b"s" * count


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


async def loaded(api: FakeApi, known: Signing | None = None) -> Signing:
    return await signing.load(api, PLATFORM, entropy, known)  # type: ignore[arg-type]  # its verbs


async def step(api: FakeApi, held: Signing, now: datetime, *, is_known: bool) -> Signing | None:
    return await signing.rotated(api, held, now, is_known=is_known)  # type: ignore[arg-type]  # its verbs


def kids(held: Signing | None) -> list[str]:
    assert held is not None
    return [key.kid for key in held.public]


async def test_a_key_is_followed_by_another_once_every_pod_knows_both(api: FakeApi) -> None:
    first = await loaded(api)
    assert await step(api, first, LATER - timedelta(days=1), is_known=True) is None

    both = await step(api, first, LATER, is_known=True)
    assert both is not None
    assert await step(api, both, LATER, is_known=False) is None
    last = await step(api, both, LATER, is_known=True)

    assert len(kids(first)) == 1
    assert kids(both)[0] == kids(first)[0]
    assert kids(last) == kids(both)[1:]
    assert last is not None
    assert last.seed == first.seed
    assert kids(await loaded(api)) == kids(last)
    assert await step(api, last, LATER + timedelta(days=29), is_known=True) is None


async def test_a_pod_that_never_answers_does_not_keep_an_old_key_for_ever(api: FakeApi) -> None:
    both = await step(api, await loaded(api), LATER, is_known=True)
    assert both is not None

    last = await step(api, both, LATER + DROPPED_AFTER, is_known=False)

    assert kids(last) == kids(both)[1:]


async def test_who_writes_an_early_time_has_the_key_rotated(api: FakeApi) -> None:
    await loaded(api)
    assert api.live is not None
    api.live["metadata"]["annotations"] = {ROTATED_ANNOTATION: "2000-01-01T00:00:00Z"}

    both = await step(api, await loaded(api), NOON, is_known=True)

    assert both is not None
    assert both.is_turning
    assert both.rotated == NOON


async def test_two_that_take_a_step_at_once_take_one(api: FakeApi) -> None:
    held = await loaded(api)
    await step(api, held, LATER, is_known=True)

    with pytest.raises(ApiError, match="it has changed"):
        await step(api, held, LATER, is_known=True)


async def test_a_secret_that_was_deleted_comes_back_as_servers_know_it(api: FakeApi) -> None:
    held = await loaded(api)
    api.live = None

    again = await loaded(api, held)

    assert kids(again) == kids(held)
    assert not held.take(again)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"data": {"seed": "x"}}, "delete it and restart", id="data"),
        pytest.param({"data": {"next.pem": "eA=="}}, "next.pem", id="next-key"),
        pytest.param(
            {"metadata": {"annotations": {ROTATED_ANNOTATION: "soon"}}},
            "is soon, accepted is a time as in",
            id="time",
        ),
    ],
)
async def test_a_secret_that_makes_no_sense_says_what_to_do(
    api: FakeApi, change: dict[str, dict[str, Any]], said: str
) -> None:
    await loaded(api)
    assert api.live is not None
    for part, more in change.items():
        api.live[part] = api.live[part] | more

    with pytest.raises(ClusterError, match=said):
        await loaded(api)


def test_a_pod_is_asked_with_the_newest_key_that_it_knows() -> None:
    old, new = (SigningKey.read(SigningKey.fresh()) for _ in range(2))

    assert best([old, new], ()) is old
    assert best([old, new], [old.public.kid]) is old
    assert best([old, new], [old.public.kid, new.public.kid]) is new
    assert best([new], ["of-another-operator"]) is new


def test_no_part_of_a_key_is_shown() -> None:
    pem = SigningKey.fresh()
    live = {"data": {"key.pem": base64.b64encode(pem).decode()}, "metadata": {}}

    held = Signing((SigningKey.read(pem),), b"seed-of-all", NOON, live)

    assert "seed-of-all" not in repr(held)
    assert live["data"]["key.pem"] not in repr(held)


@pytest.fixture
def told() -> asyncio.Event:
    """Set once servers are to be told of other keys."""
    return asyncio.Event()


@pytest.fixture
def followed(api: FakeApi, told: asyncio.Event, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """What looks after the Secret of an operator without servers, and waits for nothing long."""
    monkeypatch.setattr(keeper, "TURN_SECONDS", 0.001)
    servers: Any = SimpleNamespace(all=tuple)
    rounds: Any = SimpleNamespace(all_know=lambda _: True)
    its_verbs: Any = api
    return Keeper(its_verbs, PLATFORM, servers, rounds, told.set, lambda: NOON, entropy)


@pytest.mark.parametrize("is_gone", [False, True], ids=["edited", "deleted"])
async def test_a_rotation_goes_on_although_the_secret_is_another_one_by_now(
    api: FakeApi, followed: Keeper, told: asyncio.Event, *, is_gone: bool
) -> None:
    both = await step(api, await loaded(api), LATER, is_known=True)
    assert both is not None
    api.live = None if is_gone else api._store(both.live)

    # Nobody tells it of that before it writes.
    following = asyncio.create_task(followed._follow(both, asyncio.Event()))
    async with asyncio.timeout(10):
        await told.wait()
    following.cancel()

    assert not both.is_turning
    assert kids(await loaded(api)) == kids(both)


async def test_a_secret_that_could_not_be_made_again_at_once_is_made_later(
    api: FakeApi, followed: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await loaded(api)
    create, refusals = api.create, [ApiError("not now", status=500)]
    is_made, is_changed = asyncio.Event(), asyncio.Event()

    async def refusing(*given: Any, **named: Any) -> dict[str, Any]:
        if refusals:
            raise refusals.pop()
        is_made.set()
        return await create(*given, **named)

    monkeypatch.setattr(api, "create", refusing)
    api.live = None
    is_changed.set()
    following = asyncio.create_task(followed._follow(first, is_changed))
    async with asyncio.timeout(10):
        await is_made.wait()
    following.cancel()

    assert kids(await loaded(api)) == kids(first)
