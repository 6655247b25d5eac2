"""Which request is answered by whom: one table for all eras."""

from collections.abc import Awaitable, Callable, Mapping

from breakwater_contract.mcp import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    PARSE_ERROR,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.calls import Call, Outcome, Problem, Refused, RpcError
from breakwater_runtime.protocol import framing
from breakwater_runtime.protocol.eras import Era
from breakwater_runtime.protocol.headers import McpHeaders
from breakwater_runtime.tools.watch import Watch, outcome_of

Handler = Callable[[Call, McpHeaders | None], Awaitable[bytes]]

STATUS: Mapping[int, int] = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    MISSING_REQUIRED_CLIENT_CAPABILITY: 400,
    UNSUPPORTED_PROTOCOL_VERSION: 400,
    METHOD_NOT_FOUND: 404,
}
"""The HTTP status of JSON-RPC errors since 2026-07-28; all others, and all older ones, have 200."""


_CANCELLED: Outcome = "cancelled"


class Dispatcher:
    """Has each request answered, and makes errors of what fails."""

    def __init__(self, backend: Backend, watch: Watch | None = None) -> None:
        """Dispatch to one backend.

        Args:
            backend: The backend.
            watch: Observes every request; None: these are outside of every objective.
        """
        self._backend = backend
        self._watch = watch
        self._table: Mapping[Era, Mapping[str, Handler]] = {
            Era.OLDER: {},
            Era.MODERN: {"tools/call": self._call_tool},
        }

    async def answer(
        self, era: Era, call: Call, headers: McpHeaders | None = None
    ) -> tuple[int, bytes]:
        """Answer one request with a JSON-RPC message and its HTTP status.

        Args:
            era: How it is spoken.
            call: The request.
            headers: What must agree with it; None: the endpoint has no headers that repeat it.

        Raises:
            Refused: A policy or a limit stands against it.
        """
        try:
            return 200, framing.result(call.id, await self.result(era, call, headers))
        except RpcError as failure:
            return failed(era, call.id, failure)

    async def result(self, era: Era, call: Call, headers: McpHeaders | None = None) -> bytes:
        """Get the result of one request; the arguments are those of `answer`.

        Raises:
            RpcError: There is none.
            Refused: A policy or a limit stands against it.
        """
        watch = self._watch
        if watch is None:
            return await self._result(era, call, headers)
        since, outcome = watch.begin(call), _CANCELLED
        try:
            result = await self._result(era, call, headers)
            outcome = call.outcome
        except Refused as refusal:
            outcome, call.error = outcome_of(refusal), refusal.problem.name
            raise
        except RpcError as error:
            outcome, call.error_code = outcome_of(error), error.code
            raise
        except Exception as failure:
            outcome, call.error = "server_error", type(failure).__name__
            raise
        finally:
            watch.end(call, outcome, since)
        return result

    def _result(self, era: Era, call: Call, headers: McpHeaders | None) -> Awaitable[bytes]:
        handler = self._table[era].get(call.method)
        return self._backend.answer(call) if handler is None else handler(call, headers)

    async def answer_in_batch(self, call: Call, headers: McpHeaders) -> bytes:
        """Answer one request of a batch, whatever happens to the others."""
        try:
            _, message = await self.answer(Era.OLDER, call, headers)
        except Refused as refusal:
            return refused(call.id, refusal)
        return message

    def _call_tool(self, call: Call, headers: McpHeaders | None) -> Awaitable[bytes]:
        name = (call.params or {}).get("name")
        if headers is None or type(name) is not str or not self._backend.declares_headers(name):
            return self._backend.answer(call)
        if mismatch := self._backend.mismatch(call, headers.params):
            raise Refused(Problem.HEADER_MISMATCH, mismatch, message_id=call.id)
        return self._backend.answer(call)


def failed(era: Era, message_id: str | int | None, failure: RpcError) -> tuple[int, bytes]:
    """Make the answer to a request that failed."""
    status = STATUS.get(failure.code, 200) if era is Era.MODERN else 200
    return status, framing.error(message_id, failure.code, failure.message, failure.data)


def refused(message_id: str | int | None, refusal: Refused) -> bytes:
    """Make a JSON-RPC error of a refusal that concerns one message of several."""
    answer = refusal.problem.value
    data = {"code": refusal.problem.name, "hint": answer.hint, "retryable": answer.retryable}
    return framing.error(
        message_id,
        refusal.code,
        refusal.message or answer.message,
        {**data, **refusal.details},
    )
