"""What the answer to a POST means where it is one JSON text."""

from typing import Any

import orjson

from breakwater_contract.mcp import INTERNAL_ERROR
from breakwater_runtime.backends.codec import messages
from breakwater_runtime.backends.codec.instance import HTTP_STATUS, unavailable
from breakwater_runtime.backends.codec.messages import Result
from breakwater_runtime.calls import RpcError

BUSY = frozenset({429, 503})
"""Statuses of servers that have not begun with a request."""


def read(backend: str, number: int, status: int, body: bytes) -> Result:
    """Read the result of request `number`.

    Raises:
        RpcError: There is none.
    """
    result = messages.result(body)
    if result is not None and result.number == number and isinstance(result.content, dict):
        return result
    message = _message(body, number)
    if message is None:
        raise refused(backend, status)
    outcome = messages.outcome(number, message)
    if isinstance(outcome, RpcError):
        raise outcome
    return outcome


def _message(body: bytes, number: int) -> dict[str, Any] | None:
    """Find the answer; an error may have no id, where the server could not read the request."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    for each in found if isinstance(found, list) else (found,):
        if isinstance(each, dict) and each.get("jsonrpc") == "2.0":
            answered = messages.number_of(each.get("id"))
            if answered == number or (answered is None and "error" in each):
                return each
    return None


def refused(backend: str, status: int) -> RpcError:
    """Make the error of a request that was answered without a message of MCP."""
    if status < 300:
        return RpcError(INTERNAL_ERROR, "The server's answer is no message of MCP")
    error = unavailable(
        backend,
        f"The server of backend {backend} answers with HTTP status {status}.",
        retryable=status in BUSY,
    )
    return RpcError(error.code, error.message, {**error.data, HTTP_STATUS: status})
