"""How often a tool may be called, how long it may take, and how much a result may hold."""

from collections.abc import Awaitable, Callable

from breakwater_contract.mcp import INTERNAL_ERROR
from breakwater_runtime.backends.codec.instance import crowded
from breakwater_runtime.calls import Call, Request, RpcError
from breakwater_runtime.resilience.answer_room import LARGE_BYTES, AnswerRoom, CrowdedError
from breakwater_runtime.tools.deadlines import Deadlines

Charge = Callable[[object], Awaitable[None] | None]
"""Refuses the call of a tool that is called too often; where it has to ask, comes back to it."""


class Bounds:
    """Holds calls and results to the limits of the moment."""

    def __init__(
        self,
        charge: Charge,
        response_bytes_max: Callable[[], int],
        seconds_max: Callable[[], float],
        room: AnswerRoom,
    ) -> None:
        """Charge tools by `charge`, and let results of up to `response_bytes_max` pass.

        Args:
            charge: Charges a call to its tool.
            response_bytes_max: How large a result may be.
            seconds_max: How long a backend may take for it.
            room: Where large ones find room until their clients have them.
        """
        self._room = room
        self._charge = charge
        self._response_bytes_max = response_bytes_max
        self.deadlines = Deadlines(seconds_max)

    def charge(self, call: Call) -> Awaitable[None] | None:
        """Charge a call that the policies let through: what is denied costs nobody anything.

        Returns:
            What is to be awaited, where somebody has to be asked.

        Raises:
            Refused: The tool is called too often.
        """
        if call.method != "tools/call":
            return None
        return self._charge((call.params or {}).get("name"))

    def hold(self, result: bytes) -> bytes:
        """Let a result pass.

        Raises:
            RpcError: It is too large. As an error of JSON-RPC it finds its way in every form of
                answer, also where a stream has begun.
        """
        limit = self._response_bytes_max()
        if len(result) <= limit:
            return result
        raise RpcError(
            INTERNAL_ERROR,
            f"The result has {len(result)} bytes, and {limit} are allowed.",
            {
                "code": "RESPONSE_TOO_LARGE",
                "hint": "Ask for less at once, or have limits.responses.max raised.",
                "retryable": False,
            },
        )

    def keep(self, call: Call, backend: str, result: bytes) -> Awaitable[None] | None:
        """Have room for a result until its client has it.

        Returns:
            What is to be awaited where it is large. It raises RpcError where there is no room.
        """
        if len(result) <= LARGE_BYTES:
            return None
        request = Request.find(call.scope)
        if request is None or request.is_over:
            return None
        if request.answers_with_room:
            request.answers_with_room -= 1
            return None
        return self._keep(call, request, backend, len(result))

    async def _keep(self, call: Call, request: Request, backend: str, size: int) -> None:
        try:
            held = await self._room.take_whole(backend, size)
        except CrowdedError as error:
            raise crowded(backend, retryable=call.method != "tools/call") from error
        if request.is_over:
            held.leave()
        else:
            held.until_sent(request)
