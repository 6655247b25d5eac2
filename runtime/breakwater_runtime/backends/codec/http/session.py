"""A server behind Streamable HTTP, for many callers at once: in the older era, one session with it.

Every request is an exchange of its own. What the server says in the course of one belongs to that
one; what it says by itself comes over one more stream, where there is a session.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import orjson

from breakwater_contract.mcp import (
    INTERNAL_ERROR,
    LATEST_MODERN_VERSION,
    MCP_PROTOCOL_VERSION_HEADER,
)
from breakwater_runtime.backends.codec import eras, messages
from breakwater_runtime.backends.codec.greeting import DISCOVER, INITIALIZE
from breakwater_runtime.backends.codec.http import answers
from breakwater_runtime.backends.codec.http.connection import Connection, LostError, TooLongError
from breakwater_runtime.backends.codec.http.connections import BusyError
from breakwater_runtime.backends.codec.http.events import Events
from breakwater_runtime.backends.codec.http.exchange import Exchange
from breakwater_runtime.backends.codec.http.requests import (
    LAST_EVENT_HEADER,
    SESSION_HEADER,
    Endpoint,
)
from breakwater_runtime.backends.codec.instance import Sinks, crowded, too_slow, unavailable
from breakwater_runtime.backends.codec.lines import LineTooLongError
from breakwater_runtime.backends.codec.messages import Result
from breakwater_runtime.backends.codec.pending import with_token
from breakwater_runtime.backends.codec.talk import (
    CANCELLED,
    MESSAGE,
    PROGRESS,
    SUBSCRIPTION_ID,
    Talk,
)
from breakwater_runtime.calls import Call, RpcError
from breakwater_runtime.observability import trace_context
from breakwater_runtime.resilience.answer_room import LARGE_BYTES, CrowdedError

logger = logging.getLogger(__name__)

TOOLS_CALL = "tools/call"
EVENT_STREAM = b"text/event-stream"

RESUMES_MAX = 100
"""How often a stream that ends before its answer is taken up again."""

FAREWELL_SECONDS = 2.0
"""How long the end of a session may take; nobody waits for it."""


class HttpSession(Talk):
    """One server, talked to by everybody who shares it."""

    def __init__(
        self,
        backend: str,
        endpoint: Endpoint,
        sinks: Sinks,
        *,
        message_bytes: int,
        timeout_seconds: float | None,
    ) -> None:
        """Talk to a server; nothing has been said yet."""
        super().__init__(backend, sinks, self._write, timeout_seconds)
        self._endpoint = endpoint
        self._message_bytes = message_bytes
        self._exchanges: dict[int, Exchange] = {}
        self._headers: dict[str, str] = {}

    def end(self, reason: str) -> None:
        """Fail everything that waits: the server is gone, or does not know us any more."""
        if self._lost.done():
            return
        self._lost.set_result(reason)
        for exchange in self._exchanges.values():
            exchange.abort()
        self._stop_work()

    def close(self) -> None:
        """End the session."""
        if self._lost.done():
            return
        self.end("it was stopped")
        if SESSION_HEADER in self._headers:
            self._spawn(self._say_farewell())

    async def closed(self) -> None:
        """Wait until the server knows that the session has ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _say_farewell(self) -> None:
        with suppress(TimeoutError, RpcError, LostError, TooLongError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                headers = await self._with_credentials(self._headers, None)
                await self._exchange_once(self._endpoint.delete(headers))

    # Requests of ours

    async def request(
        self, method: str, params: dict[str, Any] | None, call: Call | None = None
    ) -> Result:
        """Ask the server, for a caller or for ourselves.

        Raises:
            RpcError: There is no result.
        """
        if self._lost.done():
            raise self._gone(executed=False)
        exchange = Exchange(next(self._numbers), method, call)
        if exchange.progress_token is not None:
            params = with_token(params, exchange.number)
        self._exchanges[exchange.number] = exchange
        if call is not None:
            self.calls[exchange.number] = call
        result: Result | None = None
        try:
            async with asyncio.timeout(self._timeout_seconds if call is not None else None):
                result = await self._ask(exchange, params)
        except TimeoutError as error:
            self._cancel(exchange)
            message = f"It took longer than {self._timeout_seconds:g} s."
            raise too_slow(self._backend, message) from error
        except asyncio.CancelledError:
            self._cancel(exchange)
            raise
        finally:
            if exchange.held is not None:
                exchange.settle(result)
            del self._exchanges[exchange.number]
            if call is not None:
                del self.calls[exchange.number]
                self.last_used = self._loop.time()
            if exchange.questions:
                exchange.end()
        if call is not None:
            self.served = True
        return result

    def _is_modern(self, method: str) -> bool:
        return self.about.modern or method == DISCOVER

    async def _ask(self, exchange: Exchange, params: dict[str, Any] | None) -> Result:
        method = exchange.method
        headers: Mapping[str, str] = self._headers
        if self._is_modern(method):
            headers = self._endpoint.routing(method, params, LATEST_MODERN_VERSION)
        if exchange.call is not None:
            headers = {**headers, **trace_context.outgoing(exchange.call)}
        headers = await self._with_credentials(headers, exchange.call)
        body = messages.request(exchange.number, method, params)
        request = self._endpoint.post(headers, body)
        while True:
            connection = exchange.connection = await self._connection()
            try:
                await connection.send(request)
                return await self._take_answer(connection, exchange)
            except LostError as error:
                if error.silent and connection.used > 1 and method != TOOLS_CALL:
                    # The server closed it while it was idle. A tool may have been called all the
                    # same, and not every tool may be called twice.
                    continue
                raise self._late(exchange) or self._gone(executed=True) from error
            except (TooLongError, LineTooLongError) as error:
                connection.abort()
                raise self._too_long() from error
            except asyncio.CancelledError:
                connection.abort()
                raise
            finally:
                self._endpoint.connections.give(connection)

    async def _with_credentials(
        self, headers: Mapping[str, str], call: Call | None
    ) -> Mapping[str, str]:
        if self._endpoint.credentials is None:
            return headers
        return {**headers, **await self._endpoint.credentials(call)}

    async def _connection(self) -> Connection:
        try:
            return await self._endpoint.connections.take()
        except OSError as error:
            said = f"The server of backend {self._backend} cannot be reached."
            raise unavailable(self._backend, said, retryable=True) from error
        except BusyError as error:
            said = f"All connections to the server of backend {self._backend} are in use."
            raise unavailable(self._backend, said, retryable=True) from error

    def _cancel(self, exchange: Exchange) -> None:
        """Have the server stop: in the newest era it does when its stream ends."""
        if exchange.connection is None or self._lost.done():
            return
        exchange.abort()
        if not self._is_modern(exchange.method) and exchange.method != INITIALIZE:
            said = {
                "requestId": exchange.number,
                "reason": "the caller does not wait any longer",
            }
            self._spawn(self.notify(CANCELLED, said))

    async def notify(self, method: str, params: dict[str, Any] | None) -> None:
        """Tell the server something."""
        if not self._lost.done():
            await self._post(messages.notification(method, params))

    def _write(self, message: bytes) -> None:
        self._spawn(self._post(message))

    async def _post(self, message: bytes) -> None:
        """Send what has no answer; where it does not arrive, a request soon says why."""
        with suppress(RpcError, LostError, TooLongError):
            headers = await self._with_credentials(self._headers, None)
            await self._exchange_once(self._endpoint.post(headers, message))

    async def _exchange_once(self, request: bytes) -> None:
        connection = await self._connection()
        try:
            await connection.send(request)
            await connection.head()
            await connection.body(LARGE_BYTES)
        except asyncio.CancelledError:
            connection.abort()
            raise
        finally:
            self._endpoint.connections.give(connection)

    # Answers of the server

    async def _take_answer(self, connection: Connection, exchange: Exchange) -> Result:
        status, headers = await connection.head()
        if status == 404 and SESSION_HEADER in self._headers:
            self.end("it does not know the session any more")
            raise self._gone(executed=False)
        if status == 200 and headers.get(b"content-type", b"").startswith(EVENT_STREAM):
            result = await self._take_stream(connection, exchange)
        else:
            body = await connection.body(self._message_bytes, partial(self._make_room, exchange))
            result = answers.read(self._backend, exchange.number, status, body)
        if exchange.method == INITIALIZE:
            self._begin(headers, result)
        return result

    def _begin(self, headers: Mapping[bytes, bytes], result: Result) -> None:
        """Know the session that `initialize` began, and listen to it."""
        self._headers[MCP_PROTOCOL_VERSION_HEADER] = str(result.content.get("protocolVersion"))
        session = headers.get(SESSION_HEADER.encode())
        if session:
            self._headers[SESSION_HEADER] = session.decode("latin-1")

    async def _take_stream(self, connection: Connection, exchange: Exchange) -> Result:
        events = Events(self._message_bytes)
        for resumed in range(RESUMES_MAX):
            try:
                result = await self._hear_stream(connection, events, exchange)
            except LostError:
                if self._late(exchange) is not None:
                    raise
                result = None
            finally:
                if resumed:
                    self._endpoint.connections.end_stream(connection)
            if result is not None:
                return result
            exchange.release()
            if not events.last_id or SESSION_HEADER not in self._headers:
                break
            await asyncio.sleep(events.retry_seconds)
            resuming = await self._resume(events)
            if resuming is None:
                break
            connection = exchange.connection = resuming
        raise self._gone(executed=True)

    async def _hear_stream(
        self, connection: Connection, events: Events, exchange: Exchange | None
    ) -> Result | None:
        """Hear a stream until it ends, or until the answer of an exchange came along it."""
        events.forget()
        hearing = exchange or Exchange.listening(connection)
        try:
            while part := await connection.part():
                for data in events.feed(part):
                    result = await self._hear(data, exchange)
                    if result is not None:
                        return result
                if events.unfinished <= LARGE_BYTES:
                    hearing.release()
                elif hearing.held is None:
                    await self._make_room(hearing, self._message_bytes)
        finally:
            if exchange is None:
                hearing.release()
        return None

    async def _make_room(self, exchange: Exchange, size: int) -> None:
        """Wait until a large answer may be read on.

        Raises:
            RpcError: There is no room for it.
        """
        try:
            held = await self._endpoint.room.take(self._backend, size)
        except CrowdedError as error:
            exchange.abort()
            raise crowded(self._backend, retryable=exchange.method != TOOLS_CALL) from error
        held.cut = exchange.abort
        exchange.held = held

    def _late(self, exchange: Exchange) -> RpcError | None:
        """Say that an answer was given up because it took so long that others had to wait."""
        if exchange.held is None or not exchange.held.late:
            return None
        said = "Its large answer took so long to arrive that others had to wait for it."
        return too_slow(self._backend, said)

    async def _resume(self, events: Events | None = None) -> Connection | None:
        """Open a stream of what the server says by itself, or what one that ended still owes.

        Returns:
            None: There is no such stream.
        """
        headers: dict[str, str] = dict(self._headers)
        if events is not None and events.last_id:
            headers[LAST_EVENT_HEADER] = events.last_id.decode("latin-1")
        try:
            connection = await self._endpoint.connections.stream()
        except OSError:
            return None
        try:
            await connection.send(self._endpoint.get(await self._with_credentials(headers, None)))
            status, found = await connection.head()
        except (LostError, RpcError):
            status, found = 0, {}
        except asyncio.CancelledError:
            self._endpoint.connections.end_stream(connection)
            raise
        if status == 200 and found.get(b"content-type", b"").startswith(EVENT_STREAM):
            return connection
        self._endpoint.connections.end_stream(connection)
        return None

    def listen(self) -> None:
        """Hear what the server says by itself, in a session of the older era."""
        if SESSION_HEADER in self._headers:
            self._spawn(self._listen())

    async def _listen(self) -> None:
        """Keep a stream open for it, as long as the server offers one."""
        events: Events | None = None
        while (connection := await self._resume(events)) is not None:
            events = events or Events(self._message_bytes)
            try:
                await self._hear_stream(connection, events, None)
            except (LostError, LineTooLongError, RpcError):
                events = None
            finally:
                self._endpoint.connections.end_stream(connection)
            await asyncio.sleep(events.retry_seconds if events is not None else 1.0)

    async def _hear(self, data: bytes, exchange: Exchange | None) -> Result | None:
        """Take what a server says; only an exchange has a result.

        Raises:
            RpcError: It is the exchange's error.
        """
        number = exchange.number if exchange is not None else None
        result = messages.result(data)
        if result is not None and result.number == number and isinstance(result.content, dict):
            return result
        try:
            message = orjson.loads(data)
        except orjson.JSONDecodeError:
            logger.warning("a server says what is no message", extra={"backend": self._backend})
            return None
        found: Result | None = None
        for each in message if isinstance(message, list) else (message,):
            if isinstance(each, dict) and each.get("jsonrpc") == "2.0":
                found = await self._take(each, exchange) or found
        return found

    async def _take(self, message: Mapping[str, Any], exchange: Exchange | None) -> Result | None:
        method, params = message.get("method"), message.get("params")
        given = params if isinstance(params, dict) else None
        if isinstance(method, str):
            if "id" in message:
                self._questions.take(message["id"], method, given, exchange or self._only())
            else:
                await self._take_notification(method, given, exchange)
            return None
        number = messages.number_of(message.get("id"))
        if exchange is None or number != exchange.number:
            return None
        outcome = messages.outcome(exchange.number, message)
        if isinstance(outcome, RpcError):
            raise outcome
        return outcome

    async def _take_notification(
        self, method: str, params: dict[str, Any] | None, exchange: Exchange | None
    ) -> None:
        if method == PROGRESS:
            await self._take_progress(params or {})
        elif method == CANCELLED:
            self._questions.cancel((params or {}).get("requestId"))
        elif exchange is not None and exchange.call is not None:
            await self._tell_caller(exchange.call, method, params)
        else:
            self._sinks.event(self, method, params)

    async def _tell_caller(self, call: Call, method: str, params: dict[str, Any] | None) -> None:
        meta = (params or {}).get("_meta")
        if isinstance(meta, dict) and SUBSCRIPTION_ID in meta:
            meta = {**meta, SUBSCRIPTION_ID: call.id}
            await call.channel.notify(method, {**(params or {}), "_meta": meta})
        elif method != MESSAGE:
            self._sinks.event(self, method, params)
        elif eras.wants_logs(call):
            await call.channel.notify(method, params)

    async def _take_progress(self, params: dict[str, Any]) -> None:
        number = messages.number_of(params.get("progressToken"))
        exchange = self._exchanges.get(number) if number is not None else None
        if exchange is None or exchange.progress_token is None or exchange.call is None:
            return
        told = {**params, "progressToken": exchange.progress_token}
        await exchange.call.channel.notify(PROGRESS, told)

    def _only(self) -> Exchange | None:
        """Find the one call under way: what the server asks by itself can mean no other."""
        number = self._only_number()
        return self._exchanges.get(number) if number is not None else None

    def _too_long(self) -> RpcError:
        said = f"The server of backend {self._backend} answers with more than "
        return RpcError(INTERNAL_ERROR, f"{said}{self._message_bytes} bytes")
