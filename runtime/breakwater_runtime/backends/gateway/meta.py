"""`list_servers`, `get_server_tools` and `execute_tool`: the way to tools that are not listed."""

from collections.abc import Mapping
from typing import Any

from breakwater_contract.mcp import MODERN_PROTOCOL_VERSIONS
from breakwater_runtime.backends import encoding
from breakwater_runtime.backends.gateway.errors import failed
from breakwater_runtime.calls import Call, Problem

LIST_SERVERS, GET_SERVER_TOOLS, EXECUTE_TOOL = "list_servers", "get_server_tools", "execute_tool"

TIMEOUT_MS_MAX = 600_000

Schema = dict[str, Any]

_AGENT: Schema = {
    "type": "string",
    "description": "Who asks. It can be left out: the credential says it. Another name than the "
    "credential's is refused with INVALID_AGENT_ID.",
}
_SERVER: Schema = {"type": "string", "description": "The server, as list_servers names it."}


def _tool(name: str, description: str, properties: Schema, required: list[str]) -> Schema:
    return {
        "name": name,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": {**properties, "agent_id": _AGENT},
            "required": required,
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": name != EXECUTE_TOOL},
    }


META_TOOLS: Mapping[str, Schema] = {
    each["name"]: each
    for each in (
        _tool(
            LIST_SERVERS,
            "List the servers behind this one: their names, whether each can answer now, and how "
            "many tools of it you may see.",
            {},
            [],
        ),
        _tool(
            GET_SERVER_TOOLS,
            "Get the tools of one server with their descriptions and the arguments they take.",
            {
                "server": _SERVER,
                "names": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Only these tools; left out: all.",
                },
            },
            ["server"],
        ),
        _tool(
            EXECUTE_TOOL,
            "Call a tool of a server, and get its result as it is.",
            {
                "server": _SERVER,
                "tool": {"type": "string", "description": "As get_server_tools names it."},
                "arguments": {
                    "type": "object",
                    "description": "What its inputSchema describes; left out: nothing.",
                },
                "timeout_ms": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": TIMEOUT_MS_MAX,
                    "description": "How long it may take; then it is cancelled, and the answer is "
                    "the error TIMEOUT.",
                },
            },
            ["server", "tool"],
        ),
    )
}

_TYPES: Mapping[str, tuple[type, str]] = {
    "server": (str, "text"),
    "tool": (str, "text"),
    "agent_id": (str, "text"),
    "arguments": (dict, "an object"),
    "names": (list, "a list of names"),
    "timeout_ms": (int, f"a number from 1 to {TIMEOUT_MS_MAX}"),
}


class WrongArgumentsError(Exception):
    """What one of the three tools was given does not fit; the message says what does."""


def arguments(call: Call) -> Mapping[str, Any]:
    """Read the arguments of a call of one of the three tools.

    Raises:
        WrongArgumentsError: They do not fit.
        RpcError: They name another agent than the caller.
    """
    params = call.params or {}
    given = params.get("arguments") or {}
    schema = META_TOOLS[params["name"]]["inputSchema"]
    if not isinstance(given, dict):
        raise WrongArgumentsError("arguments must be an object")
    for name, value in given.items():
        if name not in schema["properties"]:
            accepted = ", ".join(schema["properties"])
            raise WrongArgumentsError(f"{name[:128]} is not known; accepted: {accepted}")
        kind, wanted = _TYPES[name]
        if type(value) is not kind or (type(value) is int and not 1 <= value <= TIMEOUT_MS_MAX):
            raise WrongArgumentsError(f"{name} must be {wanted}")
    for name in schema["required"]:
        if name not in given:
            raise WrongArgumentsError(f"{name} is required")
    _check_agent(call, given.get("agent_id"))
    return given


def _check_agent(call: Call, agent: str | None) -> None:
    """Hold who the arguments say is asking against who is."""
    if agent is not None and agent != call.principal.name:
        said = agent[:128]
        raise failed(
            Problem.INVALID_AGENT_ID,
            f"agent_id is {said}, and the credential is of {call.principal.name}.",
            agentId=said,
            principal=call.principal.name,
        )


def result(call: Call, content: Mapping[str, Any]) -> bytes:
    """Make the result of a tool, as text for older clients and as data."""
    text = encoding.dumps(content).decode()
    return _result(call, {"content": [_text(text)], "structuredContent": content})


def wrong(call: Call, message: str) -> bytes:
    """Make the result of a call whose arguments do not fit."""
    call.outcome = "caller_error"
    text = f"The arguments are wrong: {message}."
    return _result(call, {"content": [_text(text)], "isError": True})


def _result(call: Call, content: dict[str, Any]) -> bytes:
    if call.version in MODERN_PROTOCOL_VERSIONS:
        content["resultType"] = "complete"
    return encoding.dumps(content)


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
