"""What one client may do to a connection, and what it gets for it."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from breakwater_contract.limits import Bodies, Headers, Limits, Timeouts
from breakwater_runtime.calls import Request
from tests.unit.runtime.wire import (
    BOUND_SECONDS,
    GET,
    HEAD,
    Serving,
    answer,
    ask,
    connect,
    echo,
    read_body,
    reply,
    serving,
)

TIGHT = Limits(
    headers=Headers(max="2Ki", count=20, url="256"),
    timeouts=Timeouts(headers="200ms", body="200ms", answer="300ms", slowest="1Ki"),
    bodies=Bodies(max="1Mi"),
    connections=8,
)
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving(echo) as running:
        yield running


@pytest.fixture(scope="module")
def tight() -> Iterator[Serving]:
    with serving(echo, TIGHT) as running:
        yield running


def error_code(body: bytes) -> str:
    return str(json.loads(body)["error"]["code"])


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        pytest.param(GET, b"", id="no-body"),
        pytest.param(HEAD + b"content-length: 5\r\n\r\nhello", b"hello", id="length"),
        pytest.param(CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", b"hello", id="chunks"),
        pytest.param(CHUNKED + b"1\r\na\r\n0\r\nx-api-key: b\r\n\r\n", b"a", id="trailer"),
        pytest.param(b"\r\n" + GET, b"", id="line-break-in-front"),
        pytest.param(b"GET http://x/x HTTP/1.1\r\nhost: x\r\n\r\n", b"", id="absolute-form"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", b"", id="asterisk-form"),
        pytest.param(
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\n"
            b"upgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n",
            b"",
            id="h2c-upgrade-ignored",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            b"",
            id="websocket-ignored",
        ),
    ],
)
def test_a_good_request_is_answered_and_another_may_follow(
    server: Serving, request_bytes: bytes, body: bytes
) -> None:
    with connect(server.port) as client:
        for _ in range(3):
            client.sendall(request_bytes)
            got = answer(client)

            assert (got.status, got.body) == (200, body)
            assert "connection" not in got.headers


@pytest.mark.requirement("T5", "G5")
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(b"content-length: 1\r\ncontent-length: 1", id="two-lengths"),
        pytest.param(b"content-length: 1\r\ncontent-length: 2", id="two-different-lengths"),
        pytest.param(b"content-length: 1, 1", id="list-of-lengths"),
        pytest.param(b"content-length: +1", id="signed-length"),
        pytest.param(b"content-length: -1", id="negative-length"),
        pytest.param(b"content-length: 0x1", id="hexadecimal-length"),
        pytest.param(b"content-length:", id="empty-length"),
        pytest.param(b"content-length: 99999999999999999999", id="length-overflow"),
        pytest.param(b"content-length : 1", id="space-before-colon"),
        pytest.param(b" content-length: 1", id="space-before-name"),
        pytest.param(b"content-length: 1\r\ntransfer-encoding: chunked", id="length-and-chunks"),
        pytest.param(b"transfer-encoding: chunked\r\ncontent-length: 1", id="chunks-and-length"),
        pytest.param(b"transfer-encoding: chunked, identity", id="chunked-not-last"),
        pytest.param(b"transfer-encoding: gzip, chunked", id="another-coding"),
        pytest.param(b"transfer-encoding: identity", id="identity"),
        pytest.param(b"transfer-encoding: xchunked", id="nearly-chunked"),
        pytest.param(b"transfer-encoding: chunked\r\ntransfer-encoding: x", id="two-codings"),
        pytest.param(b"transfer-encoding:\x0bchunked", id="vertical-tab"),
        pytest.param(b"transfer-encoding: chunked\nx: y", id="bare-line-feed"),
        pytest.param(b"transfer-encoding: chunked\rx: y", id="bare-carriage-return"),
        pytest.param(b"x: a\r\n b", id="folded"),
        pytest.param(b"x: a\0b", id="nul-in-value"),
        pytest.param(b"x\0: a", id="nul-in-name"),
        pytest.param(b": a", id="no-name"),
        pytest.param(b"x", id="no-colon"),
        pytest.param(b"host: y", id="two-hosts"),
    ],
)
def test_what_two_servers_could_read_differently_is_refused(server: Serving, lines: bytes) -> None:
    smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\nhost: x\r\n\r\n"

    with connect(server.port) as client:
        client.sendall(HEAD + lines + b"\r\n\r\n" + smuggled)
        got = answer(client)

        assert (got.status, error_code(got.body)) == (400, "BAD_REQUEST")
        assert got.headers["connection"] == "close"
        assert got.headers["x-request-id"]
        assert client.recv(1) == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", 400, id="tls"),
        pytest.param(b"SSH-2.0-x\r\n", 400, id="ssh"),
        pytest.param(b"get /x HTTP/1.1\r\nhost: x\r\n\r\n", 400, id="lower-case-method"),
        pytest.param(b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n", 400, id="space-in-url"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n", 400, id="raw-byte-in-url"),
        pytest.param(b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n", 400, id="connect"),
        pytest.param(b"GET /x HTTP/1.1\r\n\r\n", 400, id="no-host"),
        pytest.param(
            b"POST /x HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", 400, id="old-chunks"
        ),
        pytest.param(CHUNKED + b"zz\r\n", 400, id="chunk-size"),
        pytest.param(CHUNKED + b"fffffffffffffffff\r\n", 400, id="chunk-size-overflow"),
        pytest.param(CHUNKED + b"1\r\nab\r\n", 400, id="chunk-too-long"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, id="http2-preface"),
        pytest.param(b"GET /x HTTP/2.0\r\nhost: x\r\n\r\n", 505, id="http2-line"),
        pytest.param(b"GET /x HTTP/1.2\r\nhost: x\r\n\r\n", 505, id="http-1.2"),
        pytest.param(b"GET /x\r\n\r\n", 505, id="http-0.9"),
    ],
)
def test_what_is_not_http_1_1_is_refused_in_the_one_form(
    server: Serving, sent: bytes, status: int
) -> None:
    with connect(server.port) as client:
        client.sendall(sent)
        got = answer(client)

        assert got.status == status
        assert error_code(got.body) in {"BAD_REQUEST", "HTTP_VERSION_NOT_SUPPORTED"}
        assert got.headers["connection"] == "close"
        assert client.recv(1) == b""


def test_at_mcp_the_refusal_is_a_json_rpc_error(server: Serving) -> None:
    got = ask(server.port, b"POST /mcp HTTP/1.1\r\nhost: x\r\nx\r\n\r\n")

    assert json.loads(got.body)["jsonrpc"] == "2.0"


def test_old_clients_are_answered_and_left(server: Serving) -> None:
    with connect(server.port) as client:
        client.sendall(b"GET /x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")

        assert answer(client).headers["connection"] == "close"
        assert client.recv(1) == b""


@pytest.mark.requirement("T5")
@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        pytest.param(b"GET /" + b"a" * 300, 414, "URL_TOO_LONG", id="endless-url"),
        pytest.param(
            b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
            414,
            "URL_TOO_LONG",
            id="long-url",
        ),
        pytest.param(HEAD + b"x: " + b"a" * 4000, 431, "HEADERS_TOO_LARGE", id="endless-header"),
        pytest.param(HEAD + b"a" * 4000, 431, "HEADERS_TOO_LARGE", id="endless-name"),
        pytest.param(
            HEAD + b"x: " + b"a" * 3000 + b"\r\n\r\n", 431, "HEADERS_TOO_LARGE", id="long-header"
        ),
        pytest.param(HEAD + b"x: y\r\n" * 19 + b"\r\n", 200, "", id="as-many-as-may-be"),
        pytest.param(HEAD + b"x: y\r\n" * 21, 431, "HEADERS_TOO_LARGE", id="flood"),
        pytest.param(b"\r\n" + GET + b"\r\n", 200, "", id="small"),
    ],
)
def test_the_head_of_a_request_has_limits(
    tight: Serving, sent: bytes, status: int, code: str
) -> None:
    with connect(tight.port) as client:
        client.sendall(sent)
        got = answer(client)

    assert got.status == status
    if code:
        assert error_code(got.body) == code
        assert got.headers["connection"] == "close"


def test_a_body_does_not_count_as_header(tight: Serving) -> None:
    body = b"x" * 100_000

    got = ask(tight.port, HEAD + b"content-length: 100000\r\n\r\n" + body)

    assert got.body == body


@pytest.mark.requirement("T5", "K2")
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param(b"", "slow_headers", id="silence"),
        pytest.param(b"GET /x HT", "slow_headers", id="half-a-line"),
        pytest.param(HEAD + b"x: y\r\n", "slow_headers", id="no-end-of-headers"),
        pytest.param(HEAD + b"content-length: 5\r\n\r\nhell", "slow_body", id="body"),
        pytest.param(CHUNKED + b"2\r\nhe\r\n", "slow_body", id="chunks"),
    ],
)
def test_who_sends_too_slowly_is_answered_408(tight: Serving, sent: bytes, reason: str) -> None:
    with connect(tight.port) as client:
        client.sendall(sent)
        if not sent:
            assert client.is_closed()
            return
        got = answer(client)

        assert (got.status, error_code(got.body)) == (408, "REQUEST_TIMEOUT")
        assert client.recv(1) == b""
    assert tight.cut[reason]


def test_a_drop_at_a_time_does_not_prolong_the_headers(tight: Serving) -> None:
    with connect(tight.port) as client:
        client.sendall(HEAD)
        client.settimeout(0.01)
        for _ in range(2000):
            try:
                client.sendall(b"x: y\r\n" if _ < 15 else b"x")
                if client.recv(65536):
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    pytest.fail("it went on for ever")


def test_a_sender_that_keeps_the_pace_is_not_cut() -> None:
    slow = TIGHT.model_copy(update={"timeouts": Timeouts(body="100ms", slowest="1")})

    with serving(echo, slow) as server, connect(server.port) as client:
        client.sendall(HEAD + b"content-length: 9\r\n\r\n")
        for byte in b"12345678":
            client.sendall(bytes([byte]))
            threading.Event().wait(0.05)
        client.sendall(b"9")

        assert answer(client).body == b"123456789"


@pytest.mark.requirement("T5")
def test_a_sender_that_was_fast_once_may_not_be_silent_for_long() -> None:
    patient = TIGHT.model_copy(update={"timeouts": Timeouts(body="100ms", slowest="1")})

    with serving(echo, patient) as server, connect(server.port) as client:
        client.sendall(HEAD + b"content-length: 70000\r\n\r\n" + b"x" * 50_000)

        assert answer(client).status == 408


def test_a_reader_that_was_fast_once_may_not_stop_for_long() -> None:
    patient = TIGHT.model_copy(update={"timeouts": Timeouts(answer="200ms", slowest="1")})

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"x" * 9_000_000)

    with serving(large, patient) as server, connect(server.port, receive_buffer=4096) as client:
        client.sendall(GET)
        left = 5_000_000
        while left > 0:
            left -= len(client.recv(65536))

        server.until(lambda: server.cut["slow_reader"])


def test_chunks_that_are_mostly_framing_are_refused(server: Serving) -> None:
    with connect(server.port) as client:
        client.sendall(CHUNKED)
        for _ in range(40):
            client.sendall(b"1;" + b"x" * 8000 + b"\r\na\r\n")

        assert answer(client).status == 400


@pytest.mark.requirement("K2", "K5")
def test_a_client_that_does_not_read_is_cut() -> None:
    ended = threading.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not ended.is_set():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            if not running.server.port.connections:
                ended.set()

    with serving(endless, TIGHT) as running, connect(running.port, receive_buffer=4096) as client:
        client.sendall(GET)

        running.until(lambda: running.cut["slow_reader"])
        running.until(ended.is_set)
        running.until(lambda: not running.server.port.tasks)


def test_a_reader_that_keeps_the_pace_is_not_cut() -> None:
    body = b"x" * 3_000_000

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, body)

    with serving(large, TIGHT) as server, connect(server.port, receive_buffer=4096) as client:
        client.sendall(GET)
        threading.Event().wait(0.1)

        assert len(answer(client).body) == len(body)


@pytest.mark.requirement("T5")
@pytest.mark.parametrize("known_length", [True, False])
def test_who_sends_a_large_answer_knows_when_its_client_has_it(known_length: bool) -> None:
    sent, body = threading.Event(), bytes(range(256)) * 40_000

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        if known_length:
            await reply(send, body)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b"end"})
        sent.set()

    with serving(large) as server, connect(server.port, receive_buffer=4096) as client:
        client.sendall(GET)
        assert not sent.wait(0.3)
        got = answer(client)
        assert sent.wait(BOUND_SECONDS)
        client.sendall(GET)
        again = answer(client)

    assert got.body == again.body == body + (b"" if known_length else b"end")


def test_half_an_event_is_cut_and_not_ended_with_another() -> None:
    half = b"data: " + b"x" * 10_000_000 + b"\n\n"
    stream = [(b"content-type", b"text/event-stream")]

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": stream})
        await send({"type": "http.response.body", "body": half, "more_body": True})

    with serving(large) as server, connect(server.port, receive_buffer=4096) as client:
        client.sendall(GET)
        got = client.recv(1000)
        server.stop(within_seconds=0.1)
        with contextlib.suppress(ConnectionError):
            while part := client.recv(65536):
                got += part

    assert got.startswith(b"HTTP/1.1 200")
    assert b"SHUTTING_DOWN" not in got
    assert not got.endswith(b"0\r\n\r\n")


async def until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@pytest.mark.requirement("K5")
def test_a_request_behind_another_does_not_hide_that_the_client_left() -> None:
    left = threading.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await until_disconnect(receive)
        left.set()

    with serving(waiting) as server:
        with connect(server.port) as client:
            client.sendall(GET + GET)
            server.until(lambda: server.cut["pipelined"])
        server.until(left.is_set)


def test_a_request_behind_another_ends_the_connection_after_the_first_answer() -> None:
    go = threading.Event()
    asked = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        await asyncio.to_thread(go.wait)
        await reply(send, b"first")

    with serving(slow) as server, connect(server.port) as client:
        client.sendall(GET)
        server.until(lambda: asked)
        for _ in range(50):
            client.sendall(GET * 100)
        server.until(lambda: server.cut["pipelined"])
        go.set()
        got = answer(client)

        assert (got.body, got.headers["connection"]) == (b"first", "close")
        assert client.is_closed()
    assert asked == ["/x"]


def test_a_client_that_leaves_is_told_to_the_app() -> None:
    left = threading.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await until_disconnect(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        left.set()

    with serving(waiting) as server:
        with connect(server.port) as client:
            client.sendall(GET)
            server.until(lambda: server.server.port.tasks)
        server.until(left.is_set)


def test_an_answer_before_the_whole_request_is_read_by_a_client_that_still_sends() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"no", status=413)

    with serving(refuse) as server, connect(server.port) as client:
        client.sendall(HEAD + b"content-length: 1000000\r\n\r\n")
        server.until(lambda: not server.server.port.tasks)
        client.sendall(b"x" * 500_000)
        got = answer(client)

    assert (got.status, got.headers["connection"]) == (413, "close")


def test_a_client_that_asks_whether_to_send_is_told_when_somebody_reads(server: Serving) -> None:
    with connect(server.port) as client:
        client.sendall(HEAD + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert answer(client).status == 100
        client.sendall(b"hi")

        assert answer(client).body == b"hi"


@pytest.mark.requirement("K2")
def test_beyond_the_connection_limit_the_answer_is_503_and_the_others_go_on(
    tight: Serving,
) -> None:
    with ExitStack() as stack:
        within = [stack.enter_context(connect(tight.port)) for _ in range(8)]
        for each in within:
            each.sendall(GET)
            assert answer(each).status == 200
        beyond = ask(tight.port, GET)
        again = []
        for each in within:
            each.sendall(GET)
            again.append(answer(each).status)

    assert (beyond.status, error_code(beyond.body)) == (503, "OVERLOADED")
    assert int(beyond.headers["retry-after"]) > 0
    assert again == [200] * 8
    tight.until(lambda: tight.connections == 0)
    assert ask(tight.port, GET).status == 200


@pytest.mark.requirement("K2", "T4")
def test_one_address_cannot_have_all_connections() -> None:
    few = Limits(connections=100, connections_per_address=3)

    with serving(echo, few) as server, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(server.port))
        server.until(lambda: server.connections == 3)
        beyond = ask(server.port, GET)
        other = ask(server.port, GET, source="127.0.0.2")
    with serving(echo, few, trusts=lambda address: address == "127.0.0.1") as server:
        for _ in range(5):
            stack.enter_context(connect(server.port))
        server.until(lambda: server.connections == 5)
        proxied = ask(server.port, GET)
        stack.close()

    assert (beyond.status, error_code(beyond.body)) == (503, "OVERLOADED")
    assert int(beyond.headers["retry-after"]) > 0
    assert (other.status, proxied.status) == (200, 200)


@pytest.mark.requirement("K2", "K3")
def test_thousands_of_idle_connections_leave_room_for_work(server: Serving) -> None:
    with ExitStack() as stack:
        for _ in range(2000):
            stack.enter_context(connect(server.port))
        server.until(lambda: server.connections == 2000)

        assert ask(server.port, GET).status == 200
    server.until(lambda: server.connections == 0)


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb", b"a\0b"])
def test_no_header_of_an_answer_can_become_two(value: bytes) -> None:
    async def split(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"", (b"x-name", value))

    with serving(split) as server:
        got = ask(server.port, GET)

    assert (got.status, error_code(got.body)) == (500, "INTERNAL")


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    raise OSError("disk")


async def says_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    pass


@pytest.mark.parametrize("app", [fails, says_nothing])
def test_an_app_that_gives_no_answer_is_answered_for(app: object) -> None:
    with serving(app) as server:  # type: ignore[arg-type] # one of the two above
        got = ask(server.port, GET)

    assert (got.status, error_code(got.body)) == (500, "INTERNAL")


def test_an_answer_of_another_length_than_it_promised_cuts_the_connection() -> None:
    async def short(scope: Scope, receive: Receive, send: Send) -> None:
        length = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": b"four"})

    with serving(short) as server, connect(server.port) as client:
        client.sendall(GET)

        assert client.is_closed()


def test_head_has_no_body(server: Serving) -> None:
    with connect(server.port) as client:
        client.sendall(b"HEAD /x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi")
        head = client.recv(65536)
        client.sendall(GET)

        assert b"content-length: 2\r\n" in head
        assert head.endswith(b"\r\n\r\n")
        assert answer(client).status == 200


def test_a_draining_server_answers_and_asks_to_come_back_elsewhere(server: Serving) -> None:
    with serving(echo) as server, connect(server.port) as idle, connect(server.port) as client:
        for each in (idle, client):
            each.sendall(GET)
            assert "connection" not in answer(each).headers
        server.drain()
        client.sendall(GET)
        fresh = ask(server.port, GET)

        assert answer(client).headers["connection"] == "close"
        assert fresh.headers["connection"] == "close"
        server.stop()
        assert idle.recv(1) == b""


async def block(how: str) -> None:
    """Wait for ever; `deaf` does not hear that it is cancelled, as a tool in a thread."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if how != "deaf":
            raise
    await asyncio.Event().wait()


@pytest.mark.requirement("T17")
@pytest.mark.parametrize("how", ["listens", "deaf"])
def test_what_is_not_answered_in_time_is_refused_with_its_id_rather_than_cut(how: str) -> None:
    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        Request("asked", message_id=7).bind(scope)
        await block(how)

    with serving(stuck) as server, connect(server.port) as client:
        client.sendall(GET.replace(b"/x", b"/mcp"))
        server.until(lambda: server.server.port.tasks)
        server.stop(within_seconds=0.1)
        got = answer(client)

    body = json.loads(got.body)
    assert (got.status, got.headers["x-request-id"]) == (503, "asked")
    assert (body["id"], body["error"]["data"]["code"]) == (7, "SHUTTING_DOWN")
    assert int(got.headers["retry-after"]) > 0


@pytest.mark.requirement("T17")
@pytest.mark.parametrize("how", ["listens", "deaf"])
def test_a_stream_that_is_not_at_its_end_in_time_ends_with_an_error(how: str) -> None:
    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        Request("asked", message_id=7).bind(scope)
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": hi\n\n", "more_body": True})
        await block(how)

    with serving(stuck) as server, connect(server.port) as client:
        client.sendall(GET.replace(b"/x", b"/mcp"))
        server.until(lambda: server.server.port.tasks)
        server.stop(within_seconds=0.1)
        got = answer(client)

    first, event = got.body.split(b"\n\n")[:2]
    last = json.loads(event.removeprefix(b"event: message\ndata: "))
    assert first == b": hi"
    assert (last["id"], last["error"]["data"]["code"]) == (7, "SHUTTING_DOWN")


def test_half_a_document_is_cut() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"[1,", "more_body": True})
        await block("listens")

    with serving(half) as server, connect(server.port) as client:
        client.sendall(GET)
        server.until(lambda: server.server.port.tasks)
        server.stop(within_seconds=0.1)

        assert client.is_closed()


PART = st.binary(min_size=1, max_size=300)


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(PART, max_size=6), cuts=st.lists(st.integers(0, 2000), max_size=12))
def test_however_a_body_is_chunked_and_cut_it_arrives_as_it_was(
    server: Serving, parts: list[bytes], cuts: list[int]
) -> None:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    sent = CHUNKED + framed + b"0\r\n\r\n"

    with connect(server.port) as client:
        client.setsockopt(6, 1, 1)  # TCP_NODELAY: each piece in a packet of its own
        for _ in range(2):
            at = 0
            for cut in [*sorted(cut for cut in cuts if cut < len(sent)), len(sent)]:
                client.sendall(sent[at:cut])
                at = cut

            assert answer(client).body == b"".join(parts)


@settings(max_examples=150, deadline=None)
@given(sent=st.binary(max_size=400) | st.binary(max_size=200).map(lambda tail: HEAD + tail))
def test_whatever_is_sent_there_is_an_answer_or_an_end(server: Serving, sent: bytes) -> None:
    with connect(server.port) as client:
        client.sendall(sent)
        client.shutdown(1)

        assert client.is_closed()
    assert ask(server.port, GET).status == 200


async def test_reading_a_body_to_its_end_says_when_the_client_left() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    assert await read_body(receive) is None
