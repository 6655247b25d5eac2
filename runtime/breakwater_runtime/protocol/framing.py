"""JSON-RPC messages as they come in and go out: read strictly, written fast."""

import json
import re
from typing import Any

import orjson

from breakwater_runtime.backends.encoding import dumps
from breakwater_runtime.calls import Problem, Refused

DEPTH_MAX = 64
"""How deep objects and arrays may stand in one another; no MCP message needs a tenth of it."""

ID_MAX = 2**53 - 1
"""The largest integer id that every client can hold: some keep numbers as doubles."""

_MEMBER = re.compile(rb'"\s*:')
_LOOKED_INTO = frozenset({dict, list, float})
_EXACT_MAX = 2.0**63


def parse(body: bytes) -> Any:
    """Read a body that everybody would read alike.

    Raises:
        Refused: It is not JSON, has a member twice in one object, or is nested too deeply.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(Problem.MALFORMED) from error
    # Most clients write JSON as orjson does. What is written again as it was read has lost nothing,
    # and so few brackets cannot be nested too deeply.
    if body.count(b"{") + body.count(b"[") <= DEPTH_MAX and orjson.dumps(content) == body:
        return content
    # orjson keeps the last of two members with one name, where other readers keep the first. Every
    # member has a quote and a colon, so equal numbers mean that none was lost; text that looks like
    # a member makes them differ too, and then the exact way decides.
    is_exact = _members(content) == len(_MEMBER.findall(body))
    return content if is_exact else _parse_exactly(body)


def _members(content: Any) -> int:
    """Count the members of all objects; a number that may have lost digits makes it -1.

    Raises:
        Refused: They are nested too deeply.
    """
    members, depth, level = 0, 0, [content]
    while level:
        depth += 1
        inner: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is dict:
                members += len(value)
                inner += [each for each in value.values() if type(each) in _LOOKED_INTO]
            elif kind is list:
                inner += [each for each in value if type(each) in _LOOKED_INTO]
            # orjson makes floats of integers beyond 64 bits.
            elif kind is float and not -_EXACT_MAX < value < _EXACT_MAX:
                return -1
        level = inner
        if depth >= DEPTH_MAX and any(type(each) is not float for each in level):
            raise Refused(Problem.MALFORMED, f"The body is nested more than {DEPTH_MAX} deep.")
    return members


def _parse_exactly(body: bytes) -> Any:
    try:
        return json.loads(body, object_pairs_hook=_unique)
    except ValueError as error:  # more digits than Python converts
        raise Refused(Problem.MALFORMED) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Refused(Problem.MALFORMED, "An object in the body has a member twice.")
    return members


def is_id(value: object) -> bool:
    """Say whether a value may identify a request."""
    if type(value) is int:
        return -ID_MAX <= value <= ID_MAX
    return type(value) is str


def checked(message: dict[str, Any]) -> tuple[str | None, dict[str, Any] | None, bool]:
    """Get the method and the parameters of a message, and whether it has an id.

    Raises:
        Refused: It is not a JSON-RPC message.
    """
    method, params, has_id = message.get("method"), message.get("params"), "id" in message
    if message.get("jsonrpc") != "2.0" or (has_id and not is_id(message["id"])):
        raise Refused(Problem.INVALID_MESSAGE)
    if method is None:
        if not has_id or not ("result" in message or "error" in message):
            raise Refused(Problem.INVALID_MESSAGE)
    elif type(method) is not str:
        raise Refused(Problem.INVALID_MESSAGE)
    if params is not None and type(params) is not dict:
        raise Refused(Problem.INVALID_MESSAGE, "The message's params are not an object.")
    return method, params, has_id


def result(message_id: str | int, content: bytes) -> bytes:
    """Make the answer to a request of its result."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (dumps(message_id), content)


def error(message_id: str | int | None, code: int, message: str, data: Any = None) -> bytes:
    """Make the answer to a request that failed."""
    content: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        content["data"] = data
    return dumps({"jsonrpc": "2.0", "id": message_id, "error": content})


__all__ = ["checked", "dumps", "error", "is_id", "parse", "result"]
