"""What plain endpoints are sent, read as strictly as JSON-RPC."""

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from starlette.types import Receive, Scope

from breakwater_contract.names import TOOL_PATH
from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.protocol import body, framing
from breakwater_runtime.protocol.headers import McpHeaders, is_json

MEMBERS = ("tool", "input")
PREFIX = TOOL_PATH.rpartition("/")[0] + "/"


GONE = object()
"""Stands for the body of a client that left before it had sent it."""


class Ask(NamedTuple):
    """Which tool is called with what."""

    tool: str
    arguments: dict[str, Any]


async def read(headers: McpHeaders, receive: Receive) -> Any:
    """Read a body that is JSON; an empty one means no arguments. `GONE`: the client is.

    Raises:
        Refused: It is something else.
    """
    content = await body.read(receive)
    if content is None:
        return GONE
    if not content and not headers.content_type:
        return {}
    if not is_json(headers.content_type):
        raise Refused(Problem.UNSUPPORTED_MEDIA_TYPE)
    return framing.parse(content)


def is_ask(content: Any) -> bool:
    """Say whether a body names a tool and is no JSON-RPC."""
    return type(content) is dict and "tool" in content and "jsonrpc" not in content


def ask(content: Any) -> Ask:
    """Understand a body that names its tool.

    Raises:
        Refused: It does not.
    """
    if type(content) is not dict:
        raise Refused(Problem.INVALID_BODY, "The body is not an object.")
    if unknown := sorted(content.keys() - set(MEMBERS)):
        found = ", ".join(unknown)[:128]
        accepted = ", ".join(MEMBERS)
        message = f"The body has members that are not known: {found}; accepted: {accepted}."
        raise Refused(Problem.INVALID_BODY, message)
    tool, given = content.get("tool"), content.get("input", {})
    if type(tool) is not str or not tool:
        raise Refused(Problem.INVALID_BODY, "The body's tool is not the name of a tool.")
    if type(given) is not dict:
        raise Refused(Problem.INVALID_BODY, "The body's input is not an object.")
    return Ask(tool, given)


def arguments(content: Any) -> dict[str, Any]:
    """Understand a body that is a tool's arguments.

    Raises:
        Refused: It is no object.
    """
    if type(content) is not dict:
        raise Refused(Problem.INVALID_BODY, "The body is not an object of arguments.")
    return content


def tool_in(scope: Scope) -> str:
    """Get the tool's name out of the path.

    Raises:
        Refused: It is no text.
    """
    raw = scope["raw_path"].decode("latin-1")
    try:
        return unquote(raw.removeprefix(PREFIX), errors="strict")
    except UnicodeDecodeError as error:
        raise Refused(Problem.TOOL_NOT_FOUND, "The path is not UTF-8.") from error


def cursor(scope: Scope) -> str | None:
    """Get the only parameter of a list.

    Raises:
        Refused: There are others, or it is there twice.
    """
    given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if any(name != "cursor" for name, _ in given) or len(given) > 1:
        raise Refused(Problem.INVALID_PARAMETER)
    return given[0][1] if given else None
