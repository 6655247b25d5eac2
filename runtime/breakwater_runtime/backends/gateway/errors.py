"""What a gateway answers where it has no result, for callers of both eras."""

from collections.abc import Mapping
from typing import Any

from breakwater_contract.mcp import MODERN_PROTOCOL_VERSIONS
from breakwater_runtime.calls import Call, Problem, Refused, RpcError

OLDER_NUMBERS: Mapping[Problem, int] = {
    Problem.DENIED_BY_POLICY: -32001,
    Problem.SERVER_UNAVAILABLE: -32002,
    Problem.TOOL_NOT_FOUND: -32003,
    Problem.INVALID_AGENT_ID: -32004,
    Problem.TIMEOUT: -32005,
}
"""The codes by which clients of earlier gateways know the five errors. 2026-07-28 does not let new
servers use them, so today's clients get codes of the specification; `data.code` is the same."""


def failed(
    problem: Problem, message: str, *, hint: str = "", retryable: bool = False, **facts: Any
) -> RpcError:
    """Make an error with structured data; its hint is the problem's own where none is given."""
    answer = problem.value
    said = hint or answer.hint
    data = {"code": problem.name, "hint": said, "retryable": retryable, **facts}
    return RpcError(answer.rpc_code, message, data)


def for_era(call: Call, failure: RpcError | Refused) -> RpcError | Refused:
    """Give one of the five errors the number that its caller knows."""
    if call.version in MODERN_PROTOCOL_VERSIONS:
        return failure
    if isinstance(failure, Refused):
        failure.rpc_code = OLDER_NUMBERS.get(failure.problem)
        return failure
    name = failure.data.get("code") if isinstance(failure.data, dict) else None
    problem = Problem.__members__.get(name) if isinstance(name, str) else None
    number = OLDER_NUMBERS.get(problem) if problem is not None else None
    return failure if number is None else RpcError(number, failure.message, failure.data)
