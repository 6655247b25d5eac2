"""A server behind loopback HTTP: how it is asked, and what happens when it misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_contract.backends import Reason
from breakwater_runtime.backends import container
from breakwater_runtime.backends.container import ContainerBackend, Pod
from breakwater_runtime.calls import RpcError
from breakwater_runtime.resilience import answer_room
from breakwater_runtime.resilience.answer_room import AnswerRoom
from tests.support.conformance import fronts
from tests.unit.runtime import answering, containers
from tests.unit.runtime.answering import Asked, echo, older, send, stream
from tests.unit.runtime.containers import MODERN, OLDER, Notes, call, eventually, text, tool

ELSEWHERE = Pod()
"""No pod: other programs listen here too."""


@asynccontextmanager
async def starting(
    port: int, pod: Pod = ELSEWHERE, room: AnswerRoom | None = None, **settings: Any
) -> AsyncIterator[ContainerBackend]:
    http = {"port": port, **settings.pop("http", {})}
    told = Settings.model_validate({"http": http, **settings})
    made = container.backend("main", told, Path("/"), pod, room)
    async with made.running():
        yield made


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fronts.Front]:
    with fronts.oracle(tmp_path_factory.mktemp("sdk")) as front:
        yield front


@pytest.mark.process
@pytest.mark.requirement("A5")
@pytest.mark.parametrize("version", [OLDER, MODERN])
async def test_a_server_of_the_sdk_is_called_with_progress(sdk: fronts.Front, version: str) -> None:
    channel = Notes()
    params = {"name": "test_tool_with_progress", "_meta": {"progressToken": "mine"}}

    async with starting(sdk.port) as made:
        await containers.well(made)
        asked = call("tools/call", params, version=version, channel=channel)
        answer = orjson.loads(await made.answer(asked))

    assert "successfully" in answer["content"][0]["text"]
    assert [params["progress"] for _, params in channel.heard if params] == [0, 50, 100]
    assert {params["progressToken"] for _, params in channel.heard if params} == {"mine"}


@pytest.mark.process
async def test_a_server_of_the_sdk_asks_the_client_of_the_call(sdk: fronts.Front) -> None:
    channel = Notes({"action": "accept", "content": {"response": "yes"}})
    params = {"name": "test_elicitation", "arguments": {"message": "sure?"}}

    async with starting(sdk.port) as made:
        await containers.well(made)
        asked = call("tools/call", params, channel=channel)
        asked.peer = made.connect("one", channel)
        capabilities: dict[str, Any] = {"capabilities": {"elicitation": {}}}
        greeting = call("initialize", capabilities, channel=channel)
        greeting.peer = asked.peer
        await made.answer(greeting)
        answer = orjson.loads(await made.answer(asked))

    assert channel.asked == ["elicitation/create"]
    assert "action=accept" in answer["content"][0]["text"]


@pytest.mark.requirement("A5")
async def test_a_server_of_the_older_era_is_asked_within_its_session() -> None:
    async with answering.answering(older(echo)) as server, starting(server.port) as made:
        await containers.well(made)
        assert await text(made, tool("echo")) == "hello"

    (asked,) = server.of("tools/call")
    assert asked.headers["mcp-session-id"] == "s1"
    assert asked.headers["mcp-protocol-version"] == "2025-11-25"
    assert any(each.verb == "DELETE" for each in server.asked)


async def test_connections_are_used_again() -> None:
    async with answering.answering(older(echo)) as server, starting(server.port) as made:
        await containers.well(made)
        await text(made, tool("echo"))
        before = server.connections
        for _ in range(20):
            await text(made, tool("echo"))

        assert server.connections == before


@pytest.mark.parametrize(
    ("status", "retryable"), [(500, False), (503, True), (429, True), (401, False)]
)
async def test_an_answer_that_is_no_message_is_an_error_with_its_status(
    status: int, retryable: bool
) -> None:
    async def fail(_: Asked, writer: asyncio.StreamWriter) -> None:
        await send(writer, status, b"<html>", "text/html")

    async with answering.answering(older(fail)) as server, starting(server.port) as made:
        await containers.well(made)
        with pytest.raises(RpcError) as failed:
            await made.answer(tool("echo"))

    assert failed.value.data["code"] == "SERVER_UNAVAILABLE"
    assert failed.value.data["retryable"] is retryable
    assert str(status) in failed.value.message


async def test_a_connection_that_ends_before_the_answer_may_have_had_an_effect() -> None:
    async def hang_up(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with answering.answering(older(hang_up)) as server, starting(server.port) as made:
        await containers.well(made)
        with pytest.raises(RpcError) as failed:
            await made.answer(tool("echo"))

    assert failed.value.data["retryable"] is False
    assert len(server.of("tools/call")) == 1


async def test_a_session_that_the_server_forgot_is_begun_anew() -> None:
    sessions = iter(["s1", "s2", "s3", "s4"])
    known = {"s3", "s4"}

    async def forgetful(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "initialize":
            await older(echo, next(sessions))(asked, writer)
        elif asked.method == "tools/call" and asked.headers["mcp-session-id"] not in known:
            await send(writer, 404)
        else:
            await older(echo)(asked, writer)

    async with answering.answering(forgetful) as server, starting(server.port) as made:
        await containers.well(made)
        assert await text(made, tool("echo")) == "hello"

    assert len(server.of("tools/call")) == 2


@pytest.mark.parametrize("shape", ["json", "event", "line"])
async def test_an_answer_without_end_is_cut(shape: str) -> None:
    async def flood(_: Asked, writer: asyncio.StreamWriter) -> None:
        kind = b"application/json" if shape == "json" else b"text/event-stream"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\nconnection: close\r\n\r\n" % kind)
        while True:
            writer.write((b"data: " if shape == "event" else b"") + b"x" * 65536)
            writer.write(b"\n" if shape == "event" else b"")
            await writer.drain()

    async with (
        answering.answering(older(flood)) as server,
        starting(server.port, message="1Mi") as made,
    ):
        await containers.well(made)
        with pytest.raises(RpcError, match="more than 1048576 bytes"):
            await made.answer(tool("echo"))


LARGE = 4 * answer_room.LARGE_BYTES


def large(asked: Asked, size: int = LARGE) -> bytes:
    return answering.result(asked, {"content": [{"type": "text", "text": "x" * size}]})


async def as_json(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await send(writer, 200, large(asked))


async def as_event(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await stream(writer, b"data: " + large(asked) + b"\n\n")


@pytest.mark.parametrize("respond", [as_json, as_event])
async def test_large_answers_are_read_in_turn(respond: answering.Respond) -> None:
    room = AnswerRoom(2 * LARGE)
    async with (
        answering.answering(older(respond)) as server,
        starting(server.port, room=room, message="1100Ki") as made,
    ):
        await containers.well(made)
        held = await room.take("other", LARGE)
        waiting = asyncio.ensure_future(made.answer(tool("echo")))
        await eventually(lambda: room.waiting)
        held.leave()
        answers = [await waiting, *await asyncio.gather(*(made.answer(tool("echo")) for _ in "12"))]

    assert [len(orjson.loads(each)["content"][0]["text"]) for each in answers] == [LARGE] * 3
    assert room.used == 0


@pytest.mark.parametrize("respond", [as_json, as_event])
async def test_a_large_answer_without_room_is_refused(
    respond: answering.Respond, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_room, "WAIT_SECONDS", 0.05)
    room = AnswerRoom(LARGE)
    async with (
        answering.answering(older(respond)) as server,
        starting(server.port, room=room) as made,
    ):
        await containers.well(made)
        held = await room.take("other", LARGE)
        with pytest.raises(RpcError, match="than there is room for") as refused:
            await made.answer(tool("echo"))
        held.leave()
        await made.answer(tool("echo"))

    assert refused.value.data["code"] == "OVERLOADED"
    assert "Ask for less" in refused.value.data["hint"]
    assert refused.value.data["retryable"] is False
    assert room.used == 0


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_a_large_answer_that_does_not_end_is_given_up_where_others_wait(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_room, "HOLD_SECONDS", 0.0)
    monkeypatch.setattr(answer_room, "LOOK_SECONDS", 0.05)
    gone = asyncio.Event()

    async def stall(asked: Asked, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + b"id: 1\ndata: " + large(asked)[:-1])
        with suppress(ConnectionError):
            while True:
                await writer.drain()
                await asyncio.sleep(0.01)
                writer.write(b" ")
        gone.set()

    room = AnswerRoom(LARGE)
    async with (
        answering.answering(older(stall)) as server,
        starting(server.port, room=room) as made,
    ):
        await containers.well(made)
        asked = asyncio.ensure_future(made.answer(tool("echo")))
        await eventually(lambda: room.used)
        (await room.take("other", LARGE)).leave()
        with pytest.raises(RpcError, match="others had to wait") as failed:
            await asked
        await gone.wait()

    assert failed.value.data["code"] == "TIMEOUT"
    assert room.used == 0


async def test_what_says_that_it_is_too_long_is_not_read() -> None:
    async def boast(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
        writer.write(b"content-length: 99999999\r\n\r\n{")
        await writer.drain()

    async with (
        answering.answering(older(boast)) as server,
        starting(server.port, message="1Mi") as made,
    ):
        await containers.well(made)
        with pytest.raises(RpcError, match="more than 1048576 bytes"):
            await made.answer(tool("echo"))


@pytest.mark.parametrize(
    "more",
    [
        pytest.param((), id="between-events"),
        pytest.param((b'data: {"jsonrpc":"2.0",',), id="in-one"),
    ],
)
async def test_a_stream_that_ends_early_is_taken_up_again(more: tuple[bytes, ...]) -> None:
    waiting: list[bytes] = []

    async def promise(asked: Asked, writer: asyncio.StreamWriter) -> None:
        waiting.append(answering.result(asked, answering.ECHOED))
        await stream(writer, b"id: 7\nretry: 10\ndata:\n\n", *more)

    async def resume(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if "last-event-id" in asked.headers:
            await stream(writer, b"data: " + waiting.pop() + b"\n\n")
        else:
            await send(writer, 405)

    async with (
        answering.answering(older(promise), get=resume) as server,
        starting(server.port) as made,
    ):
        await containers.well(made)
        assert await text(made, tool("echo")) == "hello"

    assert "7" in {each.headers.get("last-event-id") for each in server.asked}


@pytest.mark.requirement("A4")
async def test_a_call_that_nobody_waits_for_is_cancelled_at_the_server() -> None:
    async def never(_: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    async with answering.answering(older(never)) as server, starting(server.port) as made:
        await containers.well(made)
        waiting = asyncio.ensure_future(made.answer(tool("echo")))
        await eventually(lambda: server.of("tools/call"))
        waiting.cancel()
        await eventually(lambda: server.of("notifications/cancelled"))

    (asked,), (told,) = server.of("tools/call"), server.of("notifications/cancelled")
    assert told.message["params"]["requestId"] == asked.id


async def test_a_call_that_takes_too_long_is_a_timeout() -> None:
    async def never(_: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    async with (
        answering.answering(older(never)) as server,
        starting(server.port, call="200ms") as made,
    ):
        await containers.well(made)
        with pytest.raises(RpcError) as failed:
            await made.answer(tool("echo"))

    assert failed.value.data["code"] == "TIMEOUT"


async def test_a_server_on_the_other_loopback_address_is_found() -> None:
    async with (
        answering.answering(older(echo), host="::1") as server,
        starting(server.port) as made,
    ):
        await containers.well(made)
        assert await text(made, tool("echo")) == "hello"


async def test_the_wrong_path_is_said_with_its_status() -> None:
    async def nothing(_: Asked, writer: asyncio.StreamWriter) -> None:
        await send(writer, 404, b"not here", "text/plain")

    async with answering.answering(nothing) as server, starting(server.port) as made:
        await eventually(lambda: _reason(made) is Reason.HANDSHAKE_FAILED)
        assert "HTTP status 404" in str(made.fault)


async def test_health_follows_a_server_that_goes() -> None:
    async with answering.answering(older(echo)) as server, starting(server.port) as made:
        await containers.well(made)
        await text(made, tool("echo"))
        await server.stop()
        await eventually(lambda: _reason(made) is Reason.UNREACHABLE)
        with pytest.raises(RpcError) as failed:
            await made.answer(tool("echo"))

    assert failed.value.data["retryable"] is True


async def test_a_server_that_does_not_listen_yet_is_starting_and_later_unreachable() -> None:
    async with answering.answering(older(echo)) as server:
        port = server.port
    async with starting(port, start="300ms") as made:
        await eventually(lambda: _reason(made) is Reason.STARTING)
        await eventually(lambda: _reason(made) is Reason.UNREACHABLE)


async def test_a_server_that_others_reach_is_not_ready_and_says_how_to_cure_it() -> None:
    async with answering.answering(older(echo), host="0.0.0.0") as server:
        async with starting(server.port) as made:
            await eventually(lambda: _reason(made) is Reason.EXPOSED)
            assert f"0.0.0.0:{server.port}" in str(made.fault)
            assert "127.0.0.1" in str(made.fault)
        for accepted in (
            {"knownListeners": [server.port]},
            {"allowAccessThatBypassesTheRuntime": True},
        ):
            async with starting(server.port, http=accepted) as made:
                await containers.well(made)


async def test_in_a_pod_every_socket_counts_but_the_runtimes_own() -> None:
    async with (
        answering.answering(older(echo)) as server,
        answering.answering(older(echo), host="0.0.0.0") as other,
    ):
        async with starting(server.port, Pod(is_ours=True)) as made:
            await eventually(lambda: _reason(made) is Reason.EXPOSED)
        async with starting(server.port) as made:
            await containers.well(made)
        assert other.port != server.port


def _reason(made: ContainerBackend) -> Reason | None:
    return made.findings[0].reason if made.findings else None
