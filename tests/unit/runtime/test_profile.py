"""`/profile`: there for development alone, and for insiders alone."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest

from breakwater_runtime import app
from breakwater_runtime.app import Process
from tests.unit.runtime.asgi import Caller
from tests.unit.runtime.fakes import ADMIN, ALICE

pytestmark = pytest.mark.requirement("T11")


@pytest.fixture
def profiled(process: Process) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app.management(replace(process, profiling=True)))
    return httpx2.AsyncClient(transport=transport, base_url="http://server")


def busy_with_something_special(ended: threading.Event) -> None:
    while not ended.is_set():
        time.sleep(0.001)


@pytest.fixture
def busy() -> Iterator[None]:
    ended = threading.Event()
    thread = threading.Thread(target=busy_with_something_special, args=(ended,), name="busy one")
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.mark.usefixtures("busy")
async def test_a_profile_says_where_the_time_goes(profiled: httpx2.AsyncClient) -> None:
    answer = await profiled.get("/profile?seconds=1", headers={"x-api-key": ADMIN})

    assert answer.headers["content-type"].startswith("text/plain")
    (line,) = [each for each in answer.text.splitlines() if "busy_with_something" in each][:1]
    stack, _, count = line.rpartition(" ")
    assert stack.startswith("busy one;")
    assert "busy_with_something_special (test_profile.py:" in stack.split(";")[-1]
    assert int(count) > 1


async def test_without_being_asked_for_there_is_none(management: httpx2.AsyncClient) -> None:
    answer = await management.get("/profile", headers={"x-api-key": ADMIN})

    assert answer.status_code == 404


@pytest.mark.requirement("T23")
@pytest.mark.parametrize(
    "headers", [{}, {"x-api-key": ALICE}, {"x-api-key": "x"}, {"authorization": "Bearer x"}]
)
async def test_only_insiders_see_it(profiled: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    answer = await profiled.get("/profile?seconds=1", headers=headers)

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "query",
    [
        *("seconds=0", "seconds=61", "seconds=1e9", "seconds=-1", "seconds=", "seconds=²"),
        *("seconds=99999999999", "seconds=1&seconds=2", "second=1"),
    ],
)
async def test_what_is_asked_wrong_is_refused(profiled: httpx2.AsyncClient, query: str) -> None:
    answer = await profiled.get(f"/profile?{query}", headers={"x-api-key": ADMIN})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_PARAMETER")


async def test_it_ends_with_its_client_and_there_is_one_at_a_time(process: Process) -> None:
    caller = Caller(
        app.management(replace(process, profiling=True)), url="/profile?seconds=60", x_api_key=ADMIN
    )
    first = caller.send("GET")
    await asyncio.sleep(0)
    second = caller.send("GET")
    await second.ended()
    first.disconnect()
    await first.ended()
    third = caller.send("GET")
    await asyncio.sleep(0.02)

    assert second.status == 503
    assert not third.task.done()
    third.disconnect()
    await third.ended()
