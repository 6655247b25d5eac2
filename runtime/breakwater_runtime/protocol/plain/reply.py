"""The answer to one plain call, and the way back while it runs."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.types import Receive, Send

from breakwater_runtime.calls import Call, Problem, Refused, Request
from breakwater_runtime.protocol import framing
from breakwater_runtime.protocol.plain.forms import REPORTS, Form
from breakwater_runtime.protocol.reply import SILENT_SECONDS, Final, Reply
from breakwater_runtime.protocol.ticker import Ticker

ErrorBody = Callable[[Refused, str], dict[str, Any]]
"""Makes the one error body of a refusal and the request's id."""


class PlainReply(Reply):
    """One document where that is enough; a stream where it was asked for, or needed and taken.

    What stands against a call before the tool has it is a status and the error body. Once the call
    was admitted, a stream that was asked for begins, and the rest is told there.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        ticker: Ticker,
        *,
        request: Request,
        form: Form | None,
        error_body: ErrorBody,
    ) -> None:
        """Answer in a form; None: the client takes one document and nothing else."""
        super().__init__(receive, send, ticker)
        self._form = form
        self._refused = False
        self._request = request
        self._error_body = error_body

    async def admitted(self) -> None:
        """Begin the stream that was asked for."""
        await self._write(b"")

    async def notify(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Tell what the tool says on its way, where the answer can be a stream."""
        kind = REPORTS.get(method)
        if self._form is not None and kind is not None:
            await self._write(self._form.report(kind, params or {}))

    async def serve(self, work: Awaitable[bytes], document: Callable[[bytes], bytes]) -> None:
        """Do the work and answer with its result, as a `document` where there is no stream.

        Raises:
            Refused: Something stands against it, and no stream has begun.
        """
        await self.answer(self._done(work, document))

    async def _done(self, work: Awaitable[bytes], document: Callable[[bytes], bytes]) -> Final:
        try:
            result = await work
        except Refused as refusal:
            if not self._begun:
                self._refused = True
                raise
            return Final(200, (self._error(refusal),))
        except Exception:
            if not self._begun or self._form is None:
                raise
            await self._write(self._error(Refused(Problem.INTERNAL)), more=False)
            raise
        if self._begun and self._form is not None:
            return Final(200, (self._form.result(result),))
        return Final(200, (document(result),))

    def _error(self, refusal: Refused) -> bytes:
        content = framing.dumps(self._error_body(refusal, self._request.id))
        return self._last_words(content)

    def _last_words(self, content: bytes) -> bytes:
        return content if self._form is None else self._form.error(content)

    def tick(self, now: float) -> None:
        """Become a stream after a while, and keep it alive."""
        if self._form is None or (self._lock is not None and self._lock.locked()):
            return
        if not self._begun and now - self._since >= SILENT_SECONDS:
            self._ticker.spawn(self._write(b""))
        elif self._begun and self._ticker.is_long(now - self._since):
            self._since = now
            self._ticker.spawn(self._write(self._form.heartbeat()))

    async def _write(self, content: bytes, *, more: bool = True) -> None:
        if not self._refused:  # in the very moment in which it was to become a stream
            await super()._write(content, more=more)

    async def _begin(self) -> None:
        form = self._form
        if form is None:
            raise RuntimeError("a client that takes one document got a stream")
        self._begun = True
        self._request.last_words = self._last_words
        headers = [*form.headers, *self.headers]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": form.begin(), "more_body": True})

    async def _finish(self, final: Final) -> None:
        if self._gone:
            return
        if self._begun:
            await self._write(b"".join(final.messages), more=False)
        else:
            await self._finish_as_json(final)


def outcome(call: Call, result: bytes) -> bytes:
    """Return a result, unless the tool says in it that it failed.

    Raises:
        Refused: It does.
    """
    content = orjson.loads(result)
    if not content.get("isError"):
        return result
    if call.outcome == "server_error":
        raise Refused(Problem.TOOL_CRASHED)
    raise Refused(Problem.TOOL_REFUSED, details={"result": content})
