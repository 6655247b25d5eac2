"""How many requests and streams go on at the same time, and what becomes of those that are cut."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_contract.limits import Limits, Queue
from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.http.cut import Cut
from breakwater_runtime.http.in_flight import InFlight, Places

TWO = Limits(in_flight=2, queue=Queue(length=1, wait="20s"), streams=1)
JSON = [(b"content-type", b"application/json")]
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]


class Sent(list[Message]):
    """What an app sent."""

    async def send(self, message: Message) -> None:
        self.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self)


async def nothing() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


def scope(method: str = "POST", **headers: str) -> Scope:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    made: Scope = {"type": "http", "method": method, "path": "/mcp", "headers": pairs}
    Request("id-1", message_id=7).bind(made)
    return made


class House:
    """An app that answers when told to, behind the limit."""

    def __init__(self, limits: Limits, headers: list[tuple[bytes, bytes]] = JSON) -> None:
        self.limits = limits
        self.go = asyncio.Event()
        self.begun = 0
        self.headers = headers
        self.places = Places()
        self.cut: Counter[str] = Counter()
        self.app = InFlight(
            self._answer,
            limits=lambda: self.limits,
            places=self.places,
            count_cut=lambda reason: self.cut.update([reason]),
        )

    async def _answer(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.begun += 1
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await self.go.wait()
        await send({"type": "http.response.body", "body": b"done"})

    def ask(self, asked: Scope | None = None) -> "asyncio.Task[None]":
        return asyncio.ensure_future(self._ask(asked or scope()))

    async def _ask(self, asked: Scope) -> None:
        await self.app(asked, nothing, Sent().send)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.requirement("K2")
async def test_requests_beyond_the_limit_wait_and_those_beyond_the_queue_are_refused() -> None:
    house = House(TWO)

    tasks = [house.ask() for _ in range(4)]
    await settle()
    at_once = (house.begun, house.places.active, house.places.queued)
    with pytest.raises(Refused) as refused:
        await tasks[3]
    house.go.set()
    await asyncio.gather(*tasks[:3])

    assert at_once == (2, 2, 1)
    assert (refused.value.problem, refused.value.retry_after) == (Problem.OVERLOADED, 1)
    assert (house.begun, house.places.active, house.places.queued) == (3, 0, 0)
    assert house.cut == {"requests": 1}


async def test_nobody_waits_longer_than_the_queue_allows() -> None:
    house = House(TWO.model_copy(update={"queue": Queue(length=5, wait="10ms")}))

    tasks = [house.ask() for _ in range(3)]
    with pytest.raises(Refused):
        await tasks[2]
    house.go.set()
    await asyncio.gather(*tasks[:2])

    assert (house.places.active, house.places.queued) == (0, 0)


@pytest.mark.parametrize("moment", ["waiting", "at its turn"])
async def test_who_stops_waiting_takes_no_place_along(moment: str) -> None:
    house = House(TWO)
    tasks = [house.ask() for _ in range(3)]
    await settle()

    if moment == "at its turn":
        house.places.active += 1
        house.places.leave(TWO.model_copy(update={"in_flight": 3}))
    tasks[2].cancel()
    await asyncio.wait([tasks[2]])
    house.go.set()
    await asyncio.gather(*tasks[:2])

    assert house.places.queued == 0
    assert house.places.active == 0


async def test_a_stream_gives_its_place_back() -> None:
    house = House(TWO.model_copy(update={"streams": 2}), EVENTS)

    tasks = [house.ask() for _ in range(2)]
    await settle()
    counted = (house.places.active, house.places.streams)
    house.go.set()
    await asyncio.gather(*tasks)

    assert counted == (0, 2)
    assert (house.places.active, house.places.streams) == (0, 0)


@pytest.mark.requirement("K2")
@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(scope("GET"), id="older"),
        pytest.param(scope(mcp_method="subscriptions/listen"), id="modern"),
    ],
)
async def test_beyond_the_limit_of_streams_new_ones_are_refused_and_calls_go_on(
    asked: Scope,
) -> None:
    house = House(TWO, EVENTS)
    open_stream = house.ask()
    await settle()

    with pytest.raises(Refused) as refused:
        await house.ask(asked)
    call = house.ask()
    await settle()
    counted = (house.places.active, house.places.streams)
    house.go.set()
    await asyncio.gather(open_stream, call)

    assert refused.value.problem is Problem.OVERLOADED
    assert refused.value.retry_after
    assert counted == (1, 1)
    assert (house.places.active, house.places.streams) == (0, 0)


async def test_a_limit_that_was_raised_lets_more_in() -> None:
    house = House(Limits(in_flight=1))
    tasks = [house.ask() for _ in range(3)]
    await settle()

    house.limits = Limits(in_flight=3)
    last = house.ask()
    await settle()
    house.go.set()
    await asyncio.gather(*tasks, last)

    assert house.begun == 4
    assert house.places.active == 0


Work = Callable[[Send], Awaitable[None]]


async def cut(work: Work, *, draining: bool = True) -> tuple[Sent, BaseException | None]:
    """Cancel an app once it waits."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await work(send)
        await asyncio.Event().wait()

    step: ASGIApp = Cut(
        app, draining=lambda: draining, now=lambda: datetime(2026, 1, 1, tzinfo=UTC)
    )
    sent = Sent()
    task = asyncio.ensure_future(_run(step, sent))
    await settle()
    task.cancel()
    await asyncio.wait([task])
    return sent, None if task.cancelled() and not draining else _failure(task)


async def _run(step: ASGIApp, sent: Sent) -> None:
    await step(scope(), nothing, sent.send)


def _failure(task: "asyncio.Task[None]") -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def start(headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": headers}


@pytest.mark.requirement("T17")
async def test_a_call_that_is_cut_is_refused_with_its_own_id() -> None:
    async def silent(send: Send) -> None:
        pass

    _, failure = await cut(silent)

    assert isinstance(failure, Refused)
    assert (failure.problem, failure.message_id) == (Problem.SHUTTING_DOWN, 7)
    assert failure.retry_after


@pytest.mark.requirement("T17")
async def test_a_stream_that_is_cut_ends_with_an_error_for_its_call() -> None:
    async def stream(send: Send) -> None:
        await send(start(EVENTS))
        await send({"type": "http.response.body", "body": b": hi\n\n", "more_body": True})

    sent, failure = await cut(stream)

    last = json.loads(sent[-1]["body"].removeprefix(b"event: message\ndata: "))
    assert failure is None
    assert not sent[-1]["more_body"]
    assert (last["id"], last["error"]["data"]["code"]) == (7, "SHUTTING_DOWN")


async def test_half_a_document_cannot_be_ended_well() -> None:
    async def half(send: Send) -> None:
        await send(start(JSON))

    sent, failure = await cut(half)

    assert isinstance(failure, asyncio.CancelledError)
    assert len(sent) == 1


async def test_a_cancellation_that_is_no_drain_is_left_alone() -> None:
    async def silent(send: Send) -> None:
        pass

    sent, failure = await cut(silent, draining=False)

    assert (sent, failure) == ([], None)
