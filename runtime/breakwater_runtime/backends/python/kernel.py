"""What the SDK's own kernel answers.

Not compiled: mypyc forgets in a `finally` that waits whose exception it was that went through, and
raises in one request what another one has.
"""

import logging
from typing import Any

from mcp.server.lowlevel.server import Server
from mcp.server.runner import ServerRunner, aclose_shielded
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS
from pydantic import ValidationError

from breakwater_runtime.backends import encoding
from breakwater_runtime.backends.python import envelopes
from breakwater_runtime.backends.python.exchange import Exchange
from breakwater_runtime.backends.python.results import TOOLS_CALL
from breakwater_runtime.backends.python.tools import outcome_of_error
from breakwater_runtime.calls import Call, RpcError

logger = logging.getLogger(__name__)


class Kernel:
    """The kernel of one server; a call without a session's runner has one of its own."""

    def __init__(self, server: Server[Any]) -> None:
        """Let `server` answer."""
        self._server = server
        self.state: Any = None
        """What the server's lifespan has made."""

    async def answer(self, runner: ServerRunner[Any] | None, call: Call) -> bytes:
        """Answer a request.

        Raises:
            RpcError: There is no result.
        """
        if runner is not None:
            return await _answer(runner, call)
        runner = self._stateless(call)
        try:
            return await _answer(runner, call)
        finally:
            await aclose_shielded(runner.connection)

    async def note(self, runner: ServerRunner[Any] | None, call: Call) -> None:
        """Take a notification."""
        exchange = Exchange(call, is_request=False)
        if runner is not None:
            await runner.on_notify(exchange, call.method, call.params)
            return
        runner = self._stateless(call)
        try:
            await runner.on_notify(exchange, call.method, call.params)
        finally:
            await aclose_shielded(runner.connection)

    def _stateless(self, call: Call) -> ServerRunner[Any]:
        client = envelopes.connection(call.version, call.params)
        return ServerRunner(self._server, client, self.state)


async def _answer(runner: ServerRunner[Any], call: Call) -> bytes:
    try:
        result = await runner.on_request(Exchange(call), call.method, call.params)
    except MCPError as error:
        raise RpcError(error.code, error.message, error.data) from error
    except ValidationError as invalid:
        # Not what pydantic says: it repeats what it was given.
        raise RpcError(INVALID_PARAMS, "Invalid request parameters", "") from invalid
    except Exception as failure:
        logger.exception("request failed", extra={"method": call.method})
        raise RpcError(INTERNAL_ERROR, "Internal server error") from failure
    if call.method == TOOLS_CALL and result.get("isError"):
        call.outcome = outcome_of_error(result)
    return encoding.dumps(result)
