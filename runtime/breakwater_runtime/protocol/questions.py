"""What a client is asked, and which of its messages answers what."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from breakwater_contract.mcp import INTERNAL_ERROR, REQUEST_TIMEOUT
from breakwater_runtime.calls import RpcError
from breakwater_runtime.protocol import framing
from breakwater_runtime.protocol.reply import notification

Say = Callable[[bytes], Awaitable[None]]


class Questions:
    """The open questions to one client."""

    def __init__(self) -> None:
        self._open: dict[str | int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)

    async def ask(
        self, method: str, params: Mapping[str, Any] | None, timeout_seconds: float | None, say: Say
    ) -> dict[str, Any]:
        """Ask by `say` and wait for the result.

        Raises:
            RpcError: The client answered with an error, or not in time.
        """
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        question: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method}
        if params is not None:
            question["params"] = params
        try:
            await say(framing.dumps(question))
            async with asyncio.timeout(timeout_seconds):
                return await answer
        except TimeoutError:
            await say(notification("notifications/cancelled", {"requestId": number}))
            raise RpcError(REQUEST_TIMEOUT, f"The client did not answer {method!r}") from None
        finally:
            del self._open[number]

    def answered(self, message: Mapping[str, Any]) -> None:
        """Take the client's answer; others than to open questions are of no interest any more."""
        number = message.get("id")
        # Some clients send ids back as text.
        key = int(number) if isinstance(number, str) and number.isdecimal() else number
        answer = self._open.get(key) if isinstance(key, str | int) else None
        if answer is None or answer.done():
            return
        failure = message.get("error")
        if isinstance(failure, dict):
            code, said = failure.get("code"), failure.get("message")
            answer.set_exception(
                RpcError(
                    code if type(code) is int else INTERNAL_ERROR, str(said), failure.get("data")
                )
            )
        else:
            result = message.get("result")
            answer.set_result(result if isinstance(result, dict) else {})
