"""JSON-RPC messages to and from a server, one a line."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from breakwater_contract.mcp import INTERNAL_ERROR
from breakwater_runtime.backends.encoding import dumps
from breakwater_runtime.calls import RpcError

_RESULT_LAST = re.compile(rb'\{"jsonrpc":"2\.0","id":([0-9]{1,15}),"result":')
_RESULT_FIRST = b'{"result":'
_ID_LAST = re.compile(rb',"jsonrpc":"2\.0","id":([0-9]{1,15})\}\s*\Z')
_TAIL_BYTES = 48
"""More than what `_ID_LAST` matches is long."""


class Result(NamedTuple):
    """What a server answered."""

    number: int
    raw: bytes
    """The result as it was written, where it could be told apart; else as we write it."""
    content: Any
    """The same, read."""


def request(number: int, method: str, params: Mapping[str, Any] | None) -> bytes:
    """Make a request."""
    if params is None:
        return b'{"jsonrpc":"2.0","id":%d,"method":%b}' % (number, dumps(method))
    return b'{"jsonrpc":"2.0","id":%d,"method":%b,"params":%b}' % (
        number,
        dumps(method),
        dumps(params),
    )


def notification(method: str, params: Mapping[str, Any] | None) -> bytes:
    """Make a notification."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    return dumps(message)


def answer(message_id: Any, result: Mapping[str, Any]) -> bytes:
    """Make the answer to a request of the server."""
    return dumps({"jsonrpc": "2.0", "id": message_id, "result": result})


def refusal(message_id: Any, code: int, message: str, data: Any = None) -> bytes:
    """Make the answer to a request of the server that has no result."""
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return dumps({"jsonrpc": "2.0", "id": message_id, "error": error})


def result(line: bytes) -> Result | None:
    """Read a result in one of the two forms in which the SDKs write it; None: read it otherwise.

    The bytes between are the result and nothing else, since they are JSON by themselves. They pass
    on as they are, so that no number loses digits.
    """
    first = _RESULT_LAST.match(line)
    if first is not None and line.endswith(b"}"):
        number, raw = int(first[1]), line[first.end() : -1]
    elif line.startswith(_RESULT_FIRST):
        last = _ID_LAST.search(line, max(len(line) - _TAIL_BYTES, 0))
        if last is None:
            return None
        number, raw = int(last[1]), line[len(_RESULT_FIRST) : last.start()]
    else:
        return None
    try:
        return Result(number, raw, orjson.loads(raw))
    except orjson.JSONDecodeError:
        return None


def outcome(number: int, message: Mapping[str, Any]) -> Result | RpcError:
    """Read an answer that `result` could not."""
    content = message.get("result")
    if isinstance(content, dict):
        return Result(number, dumps(content), content)
    error = message.get("error")
    if isinstance(error, dict) and type(error.get("code")) is int:
        return RpcError(error["code"], str(error.get("message")), error.get("data"))
    return RpcError(INTERNAL_ERROR, "The server's answer has neither result nor error")


def number_of(value: Any) -> int | None:
    """Read the number of one of our requests; some servers send it back as text."""
    if type(value) is int:
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value[:16])
    return None
