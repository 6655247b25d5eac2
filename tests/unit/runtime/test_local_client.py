"""The client that starts the process, over its standard streams."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from breakwater_contract.access import Access, Policy
from breakwater_contract.limits import Bodies, Limits, Rates
from breakwater_runtime import app
from breakwater_runtime.app import Process
from breakwater_runtime.calls import Call, Problem, Refused, RpcError
from breakwater_runtime.protocol import standard_streams
from breakwater_runtime.protocol.standard_streams import Lines, StandardStreams
from tests.unit.runtime.asgi import MODERN
from tests.unit.runtime.fakes import FakeBackend, until

META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Local:
    """The client's side."""

    reading: int
    writing: int
    serving: "asyncio.Task[None]"
    client: Any
    _text: bytes = b""
    heard: list[dict[str, Any]] = field(default_factory=list)

    def writes(self, content: bytes) -> None:
        os.write(self.writing, content)

    def says(self, method: str, message_id: Any = None, **params: Any) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if message_id is not None:
            message["id"] = message_id
        self.writes(json.dumps(message).encode() + b"\n")

    async def hears(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while b"\n" not in self._text:
                self._text += await asyncio.to_thread(os.read, self.reading, 65536)
        line, _, self._text = self._text.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def answer_to(self, method: str, message_id: Any = 1, **params: Any) -> dict[str, Any]:
        self.says(method, message_id, **params)
        return await self.hears()

    def leaves(self) -> None:
        os.close(self.writing)
        self.writing = -1


@pytest.fixture
async def local(process: Process) -> AsyncIterator[Local]:
    their_reading, our_writing = os.pipe()
    our_reading, their_writing = os.pipe()
    client = app.local(
        process, app.inside(process), StandardStreams(our_reading, our_writing), "me"
    )
    serving = asyncio.create_task(client.serve())
    found = Local(their_reading, their_writing, serving, client)
    yield found
    if found.writing >= 0:
        found.leaves()
    async with asyncio.timeout(10):
        await serving
    for descriptor in (their_reading, our_writing, our_reading):
        os.close(descriptor)


@pytest.mark.requirement("G1")
async def test_both_eras_are_spoken(local: Local, backend: FakeBackend) -> None:
    hello = await local.answer_to("initialize", 1, protocolVersion="2025-11-25", capabilities={})
    older = await local.answer_to("tools/list", 2)
    modern = await local.answer_to("tools/list", "three", _meta=META)

    assert [each["id"] for each in (hello, older, modern)] == [1, 2, "three"]
    assert [each.version for each in backend.bodies] == ["2025-03-26", "2025-11-25", MODERN]
    assert {each.principal.name for each in backend.bodies} == {"me"}


async def test_what_a_tool_says_before_its_answer_is_heard(
    local: Local, backend: FakeBackend
) -> None:
    async def work(call: Call) -> bytes:
        await call.channel.notify("notifications/progress", {"progress": 1})
        return b"{}"

    backend.work = work
    local.says("tools/call", 1, name="echo")

    assert [(await local.hears()).get("method") for _ in range(2)] == [
        "notifications/progress",
        None,
    ]


@pytest.mark.requirement("A4")
async def test_a_call_ends_when_it_is_cancelled_and_when_the_client_leaves(
    local: Local, backend: FakeBackend
) -> None:
    begun, ended = [], []

    async def work(call: Call) -> bytes:
        begun.append(call.id)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(call.id)
        return b"{}"

    backend.work = work
    local.says("tools/call", 1, name="echo")
    local.says("tools/call", 2, name="echo")
    await until(lambda: begun == [1, 2])

    local.says("notifications/cancelled", requestId=1)
    await until(lambda: ended == [1])
    local.leaves()
    await until(lambda: ended == [1, 2])


@pytest.mark.requirement("G2", "T4", "T23")
@pytest.mark.parametrize(
    "access",
    [Access(policies=(Policy(name="no", effect="Deny", principals=("me",), tools=("*",)),))],
)
async def test_policies_hold_for_it_by_its_name(local: Local) -> None:
    answer = await local.answer_to("tools/call", 1, name="echo", arguments={})

    assert answer["error"]["data"]["code"] == "DENIED_BY_POLICY"


@pytest.mark.requirement("T4", "G5")
async def test_rates_and_limits_hold_for_it(
    local: Local, process: Process, backend: FakeBackend
) -> None:
    limits = Limits(requests_per_minute=Rates(principal=2), in_flight=1)
    object.__setattr__(process.live.loaded, "limits", limits)
    hold = asyncio.Event()

    async def work(_: Call) -> bytes:
        await hold.wait()
        return b"{}"

    backend.work = work
    local.says("tools/list", 1)
    too_many = await local.answer_to("tools/list", 2)
    hold.set()
    first = await local.hears()
    await local.answer_to("tools/list", 3)
    too_often = await local.answer_to("tools/list", 4)

    assert (first["id"], too_many["error"]["data"]["code"]) == (1, "OVERLOADED")
    assert too_often["error"]["data"]["code"] == "RATE_LIMITED"


@pytest.mark.requirement("T4")
async def test_a_client_that_has_its_answer_may_ask_again(
    local: Local, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = standard_streams._write

    def late(descriptor: int, content: bytes) -> None:
        written(descriptor, content)
        time.sleep(0.05)  # the client is faster than the thread that wrote

    monkeypatch.setattr(standard_streams, "_write", late)
    object.__setattr__(process.live.loaded, "limits", Limits(in_flight=1))

    answers = [await local.answer_to("tools/list", number) for number in range(5)]

    assert all("result" in answer for answer in answers), answers


@pytest.mark.requirement("T4")
async def test_rates_that_are_shared_with_others_are_waited_for(local: Local) -> None:
    async def empty(principal: str) -> None:
        raise Refused(Problem.RATE_LIMITED, f"{principal} asks too often")

    object.__setattr__(local.client._limits, "charge", empty)

    answer = await local.answer_to("tools/list", 1)

    assert answer["error"]["message"] == "me asks too often"


@pytest.mark.requirement("G5")
@pytest.mark.parametrize(
    ("line", "code", "message_id"),
    [
        pytest.param(b"no json", -32700, None, id="no-json"),
        pytest.param(b"\xff\xfe", -32700, None, id="no-text"),
        pytest.param(b"[]", -32600, None, id="list"),
        pytest.param(b'{"jsonrpc":"2.0","id":7,"method":7}', -32600, 7, id="no-method"),
        pytest.param(b'{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}', -32700, None, id="twice"),
        pytest.param(b"x" * 200_000, -32600, None, id="too-long"),
        pytest.param(b"[" * 5000, -32700, None, id="too-deep"),
    ],
)
async def test_what_is_no_message_is_answered_and_the_next_one_is_understood(
    local: Local, process: Process, line: bytes, code: int, message_id: int | None
) -> None:
    wire = process.live.loaded.wire
    object.__setattr__(wire, "body_bytes", Limits(bodies=Bodies(max="100Ki")).bodies.max.bytes)
    writing = asyncio.to_thread(local.writes, b"\r\n \n" + line + b"\n")

    _, refusal = await asyncio.gather(writing, local.hears())
    answer = await local.answer_to("tools/list", 1)

    assert (refusal["error"]["code"], refusal["id"]) == (code, message_id)
    assert answer["id"] == 1


async def test_an_answer_that_is_none_is_not_answered(local: Local) -> None:
    local.writes(b'{"jsonrpc":"2.0","id":7}\n')

    assert (await local.answer_to("tools/list", 1))["id"] == 1


@pytest.mark.requirement("W6")
@pytest.mark.parametrize("failure", [RuntimeError("secret"), RpcError(-32602, "no")])
async def test_a_call_that_fails_has_an_answer(
    local: Local, backend: FakeBackend, failure: Exception
) -> None:
    backend.failure = failure

    answer = await local.answer_to("tools/call", 1, name="echo")

    assert answer["id"] == 1
    assert "secret" not in json.dumps(answer)


@pytest.mark.requirement("T17")
async def test_at_the_end_subscriptions_end_and_calls_are_answered(
    local: Local, backend: FakeBackend
) -> None:
    async def work(_: Call) -> bytes:
        await asyncio.Event().wait()
        return b"{}"

    backend.listening, backend.work = True, work
    local.says("subscriptions/listen", 1, notifications={}, _meta=META)
    local.says("tools/call", 2, name="echo")
    await until(lambda: len(backend.bodies) == 2)

    await local.client.finish(0.2)

    ended, cut = await local.hears(), await local.hears()
    assert (ended["id"], ended["result"]) == (1, {"ended": True})
    assert (cut["id"], cut["error"]["data"]["code"]) == (2, "SHUTTING_DOWN")


async def test_a_client_that_does_not_read_loses_what_nobody_asked_for_and_nothing_else(
    local: Local, backend: FakeBackend
) -> None:
    backend.listening = True
    local.says("subscriptions/listen", 1, notifications={}, _meta=META)
    await until(lambda: bool(backend.ears))

    for number in range(3000):
        backend.ears[0]("notifications/message", {"data": f"{number:0200}"})
    local.says("tools/list", 2)
    heard = [await local.hears()]
    while heard[-1].get("id") != 2:
        heard.append(await local.hears())

    assert 1000 < len(heard) < 2000


@pytest.mark.parametrize("size", [1, 3, 100])
def test_lines_are_cut_the_same_whatever_parts_they_come_in(size: int) -> None:
    content = b"one\n\ntwo" + b"2" * 10 + b"\nthree\r\nrest"
    lines = Lines(lambda: 8)

    parts = [content[start : start + size] for start in range(0, len(content), size)]

    assert [line for part in parts for line in lines.feed(part)] == [b"one", b"", None, b"three\r"]


def test_a_line_without_an_end_needs_no_more_memory_than_allowed() -> None:
    lines = Lines(lambda: 100)

    for _ in range(10_000):
        assert list(lines.feed(b"x" * 50)) == []

    assert sum(map(len, lines._parts)) <= 100
    assert list(lines.feed(b"\nnext\n")) == [None, b"next"]


def request(method: str, message_id: Any = None, **params: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    return message if message_id is None else {**message, "id": message_id}


async def batch(local: Local, *messages: Any) -> Any:
    local.writes(json.dumps(messages).encode() + b"\n")
    return await local.hears()


async def test_the_requests_of_a_batch_are_answered_together(
    local: Local, backend: FakeBackend
) -> None:
    noted = request("notifications/roots/list_changed")

    answers = await batch(local, request("tools/list", 1), noted, request("prompts/list", "two"))

    assert {each["id"]: "result" in each for each in answers} == {1: True, "two": True}
    await until(lambda: noted["method"] in {each.method for each in backend.bodies})


async def test_a_batch_without_requests_is_not_answered(local: Local) -> None:
    local.writes(json.dumps([request("notifications/initialized")]).encode() + b"\n")

    assert (await local.answer_to("tools/list", 1))["id"] == 1


async def test_a_cancelled_request_of_a_batch_is_left_out(
    local: Local, backend: FakeBackend
) -> None:
    async def work(call: Call) -> bytes:
        if call.id == 1:
            await asyncio.Event().wait()
        return b"{}"

    backend.work = work
    local.writes(json.dumps([request("tools/list", 1), request("tools/list", 2)]).encode() + b"\n")
    await until(lambda: len(backend.bodies) == 2)
    local.says("notifications/cancelled", requestId=1)
    answers: Any = await local.hears()

    assert [each["id"] for each in answers] == [2]


@pytest.mark.requirement("T4")
async def test_each_request_of_a_batch_is_charged(local: Local, process: Process) -> None:
    limits = Limits(requests_per_minute=Rates(principal=2))
    object.__setattr__(process.live.loaded, "limits", limits)

    answers = await batch(local, *(request("tools/list", number) for number in range(3)))

    codes = {each["id"]: each.get("error", {}).get("data", {}).get("code") for each in answers}
    assert codes == {0: None, 1: None, 2: "RATE_LIMITED"}


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([], id="empty"),
        pytest.param([request("initialize", 1)], id="handshake"),
        pytest.param([request("tools/list", 1, _meta=META)], id="newest-revision"),
        pytest.param([request("tools/list", 1), 7], id="no-message"),
        pytest.param([request("tools/list", 1)] * 101, id="too-many"),
        pytest.param([[request("tools/list", 1)]], id="nested"),
    ],
)
async def test_what_cannot_be_a_batch_is_refused_as_a_whole(
    local: Local, backend: FakeBackend, messages: list[Any]
) -> None:
    answer = await batch(local, *messages)

    assert (answer["id"], answer["error"]["data"]["code"]) == (None, "INVALID_MESSAGE")
    assert not backend.bodies


async def test_a_client_of_another_revision_has_no_batches(local: Local) -> None:
    await local.answer_to("initialize", 0, protocolVersion="2025-11-25", capabilities={})

    answer = await batch(local, request("tools/list", 1))

    assert answer["error"]["data"]["code"] == "INVALID_MESSAGE"
