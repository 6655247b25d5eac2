"""How many requests and streams go on at the same time."""

import asyncio
import json
from collections import Counter

import pytest
from starlette.types import Message, Receive, Scope, Send

from breakwater_contract.limits import Limits, Queue
from breakwater_runtime.http.answer_headers import AnswerHeaders
from breakwater_runtime.http.errors import Errors
from breakwater_runtime.http.in_flight import InFlight, Places
from breakwater_runtime.http.limits import is_near
from breakwater_runtime.http.pipeline import Pipeline
from tests.unit.runtime.fakes import FakeClock

TWO = Limits(in_flight=2, queue=Queue(length=1, wait="20s"), streams=1)
JSON = [(b"content-type", b"application/json")]
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]


class Sent(list[Message]):
    """What an app sent."""

    async def send(self, message: Message) -> None:
        self.append(message)

    @property
    def refusal(self) -> tuple[str, int]:
        """Read the code of the error, and after how long to try again."""
        error = json.loads(self[-1]["body"])["error"]["data"]
        return error["code"], error["retryAfter"]


async def nothing() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


def scope(method: str = "POST", **headers: str) -> Scope:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": "/mcp", "headers": pairs}


class House:
    """An app that answers when told to, behind the limit."""

    def __init__(self, limits: Limits, headers: list[tuple[bytes, bytes]] = JSON) -> None:
        self.limits = limits
        self.go = asyncio.Event()
        self.begun = 0
        self.headers = headers
        self.places = Places()
        self.cut: Counter[str] = Counter()
        in_flight = InFlight(
            limits=lambda: self.limits,
            places=self.places,
            count_cut=lambda reason: self.cut.update([reason]),
        )
        self.app = Pipeline(
            [in_flight],
            self._answer,
            headers=AnswerHeaders(),
            errors=Errors(json_rpc={"/mcp"}, now=FakeClock().now),
            new_id=lambda: "made",
        )

    async def _answer(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.begun += 1
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await self.go.wait()
        await send({"type": "http.response.body", "body": b"done"})

    def ask(self, asked: Scope | None = None) -> "asyncio.Task[Sent]":
        return asyncio.ensure_future(self._ask(asked or scope()))

    async def _ask(self, asked: Scope) -> Sent:
        sent = Sent()
        await self.app(asked, nothing, sent.send)
        return sent


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.requirement("K2")
async def test_requests_beyond_the_limit_wait_and_those_beyond_the_queue_are_refused() -> None:
    house = House(TWO)

    tasks = [house.ask() for _ in range(4)]
    await settle()
    at_once = (house.begun, house.places.active, house.places.queued)
    refused = await tasks[3]
    house.go.set()
    await asyncio.gather(*tasks[:3])

    assert at_once == (2, 2, 1)
    assert refused.refusal == ("OVERLOADED", 1)
    assert (house.begun, house.places.active, house.places.queued) == (3, 0, 0)
    assert house.cut == {"requests": 1}


async def test_nobody_waits_longer_than_the_queue_allows() -> None:
    house = House(TWO.model_copy(update={"queue": Queue(length=5, wait="10ms")}))

    tasks = [house.ask() for _ in range(3)]
    refused = await tasks[2]
    house.go.set()
    await asyncio.gather(*tasks[:2])

    assert refused.refusal == ("OVERLOADED", 1)
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

    refused = await house.ask(asked)
    call = house.ask()
    await settle()
    counted = (house.places.active, house.places.streams)
    house.go.set()
    await asyncio.gather(open_stream, call)

    assert refused.refusal == ("OVERLOADED", 10)
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


@pytest.mark.parametrize(("used", "near"), [(0, False), (79, False), (80, True), (101, True)])
def test_from_80_percent_of_a_limit_on_somebody_should_look(used: int, near: bool) -> None:
    assert is_near(used, 100) is near
