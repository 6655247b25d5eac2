"""JSON-RPC messages as they come in and go out: read strictly, written fast."""

import json
from typing import Any, Final

import orjson

from breakwater_runtime.backends.encoding import dumps
from breakwater_runtime.calls import Problem, Refused

DEPTH_MAX: Final = 64
"""How deep objects and arrays may stand in one another; no MCP message needs a tenth of it."""

ID_MAX: Final = 2**53 - 1
"""The largest integer id that every client can hold: some keep numbers as doubles."""

MEMBER_TWICE = "An object in the body has a member twice."

VALUES_MAX: Final = 100_000
"""How many values a body may have, each member and item one. Reading them is work that nobody else
gets answered during; 4 MiB of `[],` would be a second of it."""

_LOOKED_INTO = frozenset({dict, list, float})
_EXACT_MAX = 2.0**63


def parse(body: bytes) -> Any:
    """Read a body that everybody would read alike.

    Raises:
        Refused: It is not JSON, has a member twice in one object, has too many values, or is nested
            too deeply.
    """
    if len(body) > VALUES_MAX:  # a value takes a byte
        _require_few(body)
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(Problem.MALFORMED) from error
    # Most clients write JSON as orjson does. What is written again as it was read has lost nothing,
    # and so few brackets cannot be nested too deeply.
    brackets = body.count(b"{") + (body.count(b"[") if ord("[") in body else 0)
    if brackets <= DEPTH_MAX and orjson.dumps(content) == body:
        return content
    # orjson keeps the last of two members with one name, where other readers keep the first.
    members = _members(content)
    if members is None:
        return _parse_exactly(body)
    if members != _outside(_without_escapes(body)).count(b":"):
        raise Refused(Problem.MALFORMED, MEMBER_TWICE)
    return content


def _require_few(body: bytes) -> None:
    """Refuse a body with too many values, at a look that is no work.

    Raises:
        Refused: It has.
    """
    if _values(body) <= VALUES_MAX:
        return
    bare = _without_escapes(body)
    # A value brings two strings at most, its name and itself.
    if bare.count(b'"') > 4 * VALUES_MAX or _values(_outside(bare)) > VALUES_MAX:
        message = f"The request body has more than {VALUES_MAX} values."
        raise Refused(Problem.BODY_TOO_LARGE, message)


def _values(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _without_escapes(body: bytes) -> bytes:
    """Take out what could be mistaken for the end of a string."""
    if b"\\" not in body:
        return body
    return body.replace(b"\\\\", b"").replace(b'\\"', b"")


def _outside(bare: bytes) -> bytes:
    """Get what stands outside of strings, of a body that has no escapes."""
    return b"".join(bare.split(b'"')[::2])


def _members(content: Any) -> int | None:
    """Count the members of all objects; None: a number may have lost digits.

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
                return None
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
        raise Refused(Problem.MALFORMED, MEMBER_TWICE)
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
