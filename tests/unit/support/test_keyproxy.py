import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.support.keyproxy import KeyProxy

HEAD = b"POST /mcp HTTP/1.1\r\nHost: evil.example\r\nMcp-Name:  echo \r\nConnection: keep-alive\r\n"
BODY = b"Content-Length: 2\r\n\r\n{}"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def test_a_request_gets_the_key_and_stays_as_it_is_else() -> None:
    seen: list[bytes] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"{}"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async with _proxied(upstream, key="secret") as (reader, writer):
        writer.write(HEAD + BODY)
        answer = await reader.read()

    (request,) = seen
    assert request == (
        b"POST /mcp HTTP/1.1\r\nHost: evil.example\r\nMcp-Name:  echo \r\nContent-Length: 2\r\n"
        b"Connection: close\r\nX-API-Key: secret\r\n\r\n{}"
    )
    assert answer == b"HTTP/1.1 204 No Content\r\n\r\n"


async def test_a_header_that_is_to_go_goes() -> None:
    seen: list[bytes] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with _proxied(upstream, removed=frozenset({"origin"})) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nORIGIN: http://page\r\nA: b\r\n\r\n")
        await reader.read()

    assert seen == [b"GET / HTTP/1.1\r\nA: b\r\nConnection: close\r\n\r\n"]


async def test_an_answer_is_passed_on_as_it_comes_and_the_caller_s_leaving_too() -> None:
    left = asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"first")
        await reader.read()
        left.set()
        writer.close()

    async with _proxied(upstream) as (reader, writer):
        writer.write(HEAD + BODY)
        first = await reader.readexactly(5)
        writer.close()
        async with asyncio.timeout(10):
            await left.wait()

    assert first == b"first"


@contextlib.asynccontextmanager
async def _proxied(
    upstream: Handler, *, key: str | None = None, removed: frozenset[str] = frozenset()
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to an upstream through the proxy."""
    async with await asyncio.start_server(upstream, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with KeyProxy("127.0.0.1", port, key, removed).serving() as origin:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", int(origin.rpartition(":")[2])
            )
            try:
                yield reader, writer
            finally:
                writer.close()
