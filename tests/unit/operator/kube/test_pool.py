import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from breakwater_operator.kube.pool import Pool
from breakwater_operator.kube.wire import Address, lines, request

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HEAD = lines([("Host", "here")])
GET = request("GET", "/", HEAD, None)
PATCH = request("PATCH", "/", HEAD, b"{}")
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Is: so\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def serving(serve: Serve, *, proxied: bool = False) -> AsyncIterator[Pool]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    here = Address("127.0.0.1", port, None)
    behind = Address("cluster.example", 6443, None, proxy=("127.0.0.1", port))
    pool = Pool(behind if proxied else here, 10)
    try:
        yield pool
    finally:
        await pool.close()
        server.close()


async def heads(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        if head.startswith(b"PATCH"):
            await reader.readexactly(2)
        yield head


async def test_requests_one_after_the_other_share_a_connection() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        async for _ in heads(reader):
            writer.write(FINE)

    async with serving(serve) as pool:
        answers = [await pool.ask(PATCH, 5, is_safe=False) for _ in range(3)]

    assert [(one.status, one.body, one.headers["x-is"]) for one in answers] == [
        (200, b"{}", "so")
    ] * 3
    assert connections == 1


@pytest.mark.parametrize(("message", "is_safe"), [(GET, True), (PATCH, False)])
async def test_only_what_changes_nothing_is_sent_again_when_an_idle_connection_was_closed(
    message: bytes, is_safe: bool
) -> None:
    seen = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        count = 0
        async for _ in heads(reader):
            seen, count = seen + 1, count + 1
            if count > 1:
                return
            writer.write(FINE)

    async with serving(serve) as pool:
        await pool.ask(GET, 5, is_safe=True)
        if is_safe:
            assert (await pool.ask(message, 5, is_safe=True)).status == 200
        else:
            with pytest.raises(OSError, match="closed"):
                await pool.ask(message, 5, is_safe=False)

    assert seen == (3 if is_safe else 2)


async def test_a_late_answer_is_nobodys_and_its_connection_is_not_used_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        async for _ in heads(reader):
            if connections > 1:
                writer.write(FINE)

    async with serving(serve) as pool:
        with pytest.raises(TimeoutError):
            await pool.ask(GET, 0.05, is_safe=True)
        answer = await pool.ask(GET, 5, is_safe=True)

    assert (answer.status, connections) == (200, 2)


async def test_what_is_no_http_is_an_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for _ in heads(reader):
            writer.write(b"SSH-2.0-nobody\r\n")

    async with serving(serve) as pool:
        with pytest.raises(OSError, match="not an HTTP answer"):
            await pool.ask(GET, 5, is_safe=True)


async def test_a_stream_gives_whole_lines_however_they_come() -> None:
    partly_read = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for _ in heads(reader):
            writer.write(STREAM + b"2\r\non\r\n")
            await partly_read.wait()
            writer.write(b"3\r\ne\nt\r\n9\r\nwo\nthree\n\r\n0\r\n\r\n")

    async with serving(serve) as pool:
        answer, stream = await pool.open(GET, 5)
        asyncio.get_running_loop().call_later(0.05, partly_read.set)
        lines = []
        while more := await stream.lines(5):
            lines += more

    assert (answer.status, lines) == (200, [b"one", b"two", b"three"])


async def test_a_stream_that_breaks_is_an_error_after_its_last_line() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await anext(heads(reader))
        writer.write(STREAM + b"4\r\none\n\r\n")

    async with serving(serve) as pool:
        _, stream = await pool.open(GET, 5)

        assert await stream.lines(5) == [b"one"]
        with pytest.raises(OSError, match="closed"):
            await stream.lines(5)


async def test_a_stream_that_says_nothing_is_given_up() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for _ in heads(reader):
            writer.write(STREAM)

    async with serving(serve) as pool:
        _, stream = await pool.open(GET, 5)
        with pytest.raises(TimeoutError):
            await stream.lines(0.05)
        stream.close()


async def test_a_refused_stream_says_why() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for _ in heads(reader):
            writer.write(b"HTTP/1.1 410 Gone\r\nContent-Length: 7\r\n\r\ntoo old")

    async with serving(serve) as pool:
        answer, stream = await pool.open(GET, 5)

        assert (answer.status, answer.body) == (410, b"too old")
        assert await stream.lines(5) == []


async def test_a_reader_that_is_slow_stops_the_sender_and_loses_nothing() -> None:
    line = b"x" * 99 + b"\n"
    piece = b"%x\r\n%s\r\n" % (len(line) * 100, line * 100)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for _ in heads(reader):
            writer.write(STREAM)
            for _ in range(500):
                writer.write(piece)
                await writer.drain()
            writer.write(b"0\r\n\r\n")

    async with serving(serve) as pool:
        _, stream = await pool.open(GET, 5)
        await asyncio.sleep(0.1)
        counts = []
        while more := await stream.lines(5):
            counts.append(len(more))

    assert sum(counts) == 50_000
    assert max(counts) < 50_000


async def test_requests_go_through_a_proxy_where_there_is_one() -> None:
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for head in heads(reader):
            asked.append(head.split(b"\r\n")[0])
            is_proxys = head.startswith(b"CONNECT")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" if is_proxys else FINE)

    async with serving(serve, proxied=True) as pool:
        answer = await pool.ask(GET, 5, is_safe=True)

    assert (answer.status, answer.body) == (200, b"{}")
    assert asked == [b"CONNECT cluster.example:6443 HTTP/1.1", b"GET / HTTP/1.1"]


async def test_a_proxy_that_refuses_is_an_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for _ in heads(reader):
            writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")

    async with serving(serve, proxied=True) as pool:
        with pytest.raises(OSError, match="407"):
            await pool.ask(GET, 5, is_safe=True)


@pytest.mark.parametrize("value", ["a\r\nX-More: b", "a\nb"])
def test_a_header_cannot_bring_another_one(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        lines([("Authorization", value)])


async def test_a_stream_that_is_silent_for_too_long_is_an_error_however_much_came_before() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _number in range(3):
            writer.write(b"2\r\na\n\r\n")
            await asyncio.sleep(0.1)
        await asyncio.sleep(5)

    async with serving(serve) as pool:
        _, stream = await pool.open(GET, 5)
        found = [line for _ in range(3) for line in await stream.lines(0.25)]
        with pytest.raises(TimeoutError):
            await stream.lines(0.25)
        stream.close()

    assert found == [b"a"] * 3


def test_a_line_break_in_a_target_makes_no_second_request() -> None:
    with pytest.raises(ValueError, match="line break"):
        request("GET", "/\r\nX-Is: so", HEAD, None)
