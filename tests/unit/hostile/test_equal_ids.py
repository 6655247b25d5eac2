"""A hundred callers, id 1, at once: each gets its own answer."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from tests.support.rig.line import Answer, Line, dial
from tests.support.rig.requests import BOTH, MODERN, Speaker, http, rpc, use
from tests.support.rig.target import KEY, Target, attacked

pytestmark = [pytest.mark.process, pytest.mark.requirement("A5")]

CALLERS = 100


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with attacked(tmp_path_factory.mktemp("target")) as target:
        yield target


def at_rpc(number: int) -> bytes:
    body = json.dumps(rpc("tools/call", use("later", {"text": str(number)}))).encode()
    headers = {"content-type": "application/json", "accept": BOTH, "x-api-key": KEY}
    return http("POST", "/rpc", headers, body)


async def in_session(target: Target) -> Speaker:
    line = await dial(target.port)
    begun = await line.ask(Speaker("2025-11-25").initialize({"sampling": {}}))
    line.close()
    return Speaker("2025-11-25", begun.header("mcp-session-id"))


@pytest.mark.parametrize("way", ["modern", "older", "session", "rpc", "all"])
async def test_each_gets_its_own_answer(target: Target, way: str) -> None:
    session = await in_session(target)
    speakers = {"modern": Speaker(MODERN), "older": Speaker("2025-06-18"), "session": session}
    ways = [*speakers, "rpc"] if way == "all" else [way]

    def request(number: int) -> bytes:
        chosen = ways[number % len(ways)]
        if chosen == "rpc":
            return at_rpc(number)
        return speakers[chosen].call("later", text=str(number))

    lines = [await dial(target.port) for _ in range(CALLERS)]
    for number, line in enumerate(lines):
        line.send(request(number))
    answers = await asyncio.gather(*map(Line.answer, lines))
    for line in lines:
        line.close()

    assert session.session
    assert [said(answer) for answer in answers] == [(1, str(number)) for number in range(CALLERS)]


def said(answer: Answer) -> tuple[int, str]:
    content = json.loads(answer.body)
    return content["id"], content["result"]["content"][0]["text"]
