"""The answer to a POST within a session, whose client can be asked and can come back."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Send

from breakwater_runtime.protocol.reply import Final, Reply
from breakwater_runtime.protocol.sessions import Session
from breakwater_runtime.protocol.ticker import Ticker

if TYPE_CHECKING:
    from breakwater_runtime.protocol.streams import EventStream


class SessionReply(Reply):
    """Once it is a stream, a lost connection does not stop the work: the client may come back."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        ticker: Ticker,
        session: Session,
    ) -> None:
        """Answer a request of a session."""
        super().__init__(receive, send, ticker)
        self._session = session
        self._stream: EventStream | None = None

    @property
    def can_ask(self) -> bool:
        """The session knows where an answer belongs."""
        return not self._finished

    async def ask(
        self, method: str, params: Mapping[str, Any] | None, timeout_seconds: float | None
    ) -> dict[str, Any]:
        """Ask on the stream of the call."""
        return await self._session.ask(method, params, timeout_seconds, self._say)

    async def close_stream(self) -> None:
        """End the stream; the client comes back for the rest of it."""
        await self._say(None)
        if self._stream is not None:
            await self._stream.hand_over()

    def _disconnected(self) -> None:
        if self._stream is None:
            self.cancel()
        else:
            self._stream.detach(self._send)

    def tick(self, now: float) -> None:
        """Become a stream after a while; that one looks after itself."""
        if self._stream is None:
            super().tick(now)

    async def _say(self, message: bytes | None) -> None:
        if self._stream is None:
            self._stream = self._session.open_stream(self.cancel)
            self._stream.attach(self._send)
            await self._begin()
        if message is not None:
            self._stream.put(message)
        await self._stream.flush()

    async def _finish(self, final: Final) -> None:
        stream = self._stream
        if stream is None:
            await super()._finish(final)
            return
        for message in final.messages:
            stream.put(message)
        stream.close()
        await stream.flush()
