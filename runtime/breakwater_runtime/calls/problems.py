"""What can go wrong, and how it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from breakwater_contract.mcp import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
)

API_VERSION = "1.0.0"
"""The version of the bodies of plain HTTP endpoints."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a problem is answered; docs/reference/errors.md is this table for readers."""

    status: int
    rpc_code: int
    message: str
    hint: str
    retryable: bool = False


Outcome = Literal["ok", "caller_error", "server_error", "cancelled", "limited"]
"""What became of a request; objectives rest on it."""

FIRST_FAULT_OF_OURS = 500


class Problem(Enum):
    """What can be wrong with a request; the member's name is the code that clients see."""

    BAD_REQUEST = Answer(
        400,
        INVALID_REQUEST,
        "The request is not well-formed HTTP/1.1.",
        "Send it as RFC 9112 says; a proxy in between may have changed it.",
    )
    MALFORMED = Answer(
        400,
        PARSE_ERROR,
        "The body is not JSON.",
        "Send JSON, encoded as UTF-8, with each member once.",
    )
    INVALID_MESSAGE = Answer(
        400,
        INVALID_REQUEST,
        "The body is not a JSON-RPC message.",
        'Send an object with "jsonrpc": "2.0" and a "method".',
    )
    INVALID_BODY = Answer(
        400,
        INVALID_REQUEST,
        "The body is not what this endpoint takes.",
        'Send {"tool": ..., "input": {...}}; to /tools/{name}, the arguments alone.',
    )
    INVALID_PARAMETER = Answer(
        400,
        INVALID_REQUEST,
        "A parameter of the URL is not known here, or stands there twice.",
        "GET /tools takes cursor, once; POST takes none.",
    )
    HEADER_MISMATCH = Answer(
        400,
        HEADER_MISMATCH,
        "A header does not agree with the body.",
        "Send MCP-Protocol-Version, Mcp-Method, Mcp-Name and Mcp-Param-* as the body has them.",
    )
    CREDENTIAL_IN_URL = Answer(
        400,
        INVALID_REQUEST,
        "The URL contains a credential.",
        "Send it in a header, and replace it: URLs end up in logs.",
    )
    UNAUTHENTICATED = Answer(
        401,
        INVALID_REQUEST,
        "A valid credential is required.",
        "Send a key as X-API-Key, or a key or a token as Authorization: Bearer.",
    )
    INSUFFICIENT_SCOPE = Answer(
        403,
        INVALID_REQUEST,
        "The credential is not good for this.",
        "Use a credential whose scope covers it.",
    )
    DENIED_BY_POLICY = Answer(
        403,
        INVALID_REQUEST,
        "The policies do not allow this.",
        "Ask whoever runs the server; the message says which policy decided.",
    )
    ORIGIN_NOT_ALLOWED = Answer(
        403,
        INVALID_REQUEST,
        "Requests from this origin are not allowed.",
        "Call from outside a browser, or have the origin put into access.origins.",
    )
    ADDRESS_NOT_ALLOWED = Answer(
        403,
        INVALID_REQUEST,
        "Requests from this address are not allowed.",
        "Call from another network, or have access.addresses changed.",
    )
    HTTPS_REQUIRED = Answer(
        403,
        INVALID_REQUEST,
        "HTTPS is required.",
        "Use the https:// URL, and replace the credential if one was sent.",
    )
    HTTPS_REDIRECT = Answer(
        308,
        INVALID_REQUEST,
        "HTTPS is required.",
        "Use the https:// URL, and replace the credential if one was sent.",
    )
    NOT_FOUND = Answer(
        404,
        INVALID_REQUEST,
        "There is nothing at this path.",
        "/capabilities lists what is served; MCP is at /mcp.",
    )
    ENDPOINT_CLOSED = Answer(
        404,
        INVALID_REQUEST,
        "This endpoint is closed.",
        "Use one of those that /capabilities lists.",
    )
    TOOL_NOT_FOUND = Answer(
        404,
        INVALID_PARAMS,
        "There is no such tool.",
        "GET /tools, or tools/list, names those that there are.",
    )
    SESSION_NOT_FOUND = Answer(
        404,
        INVALID_REQUEST,
        "There is no such session.",
        "Send initialize without Mcp-Session-Id to begin a new one.",
    )
    METHOD_NOT_ALLOWED = Answer(
        405,
        INVALID_REQUEST,
        "The method is not allowed here.",
        "The Allow header lists the methods that are.",
    )
    NOT_ACCEPTABLE = Answer(
        406,
        INVALID_REQUEST,
        "The client does not accept what is served here.",
        "Send Accept: application/json, text/event-stream.",
    )
    REQUEST_TIMEOUT = Answer(
        408,
        INVALID_REQUEST,
        "The request came too slowly.",
        "Send it at once, over another connection.",
        retryable=True,
    )
    STREAM_TAKEN = Answer(
        409,
        INVALID_REQUEST,
        "The session has a stream for messages of the server already.",
        "Close that one first; a session has one at a time.",
    )
    BODY_TOO_LARGE = Answer(
        413,
        INVALID_REQUEST,
        "The request body is too large.",
        "Send less in one request.",
    )
    URL_TOO_LONG = Answer(
        414,
        INVALID_REQUEST,
        "The URL is too long.",
        "Send a shorter one.",
    )
    UNSUPPORTED_MEDIA_TYPE = Answer(
        415,
        INVALID_REQUEST,
        "The content type is not supported.",
        "Send Content-Type: application/json.",
    )
    MISDIRECTED = Answer(
        421,
        INVALID_REQUEST,
        "Requests for this host are not served here.",
        "Use a host name that access.hosts lists.",
    )
    INVALID_AGENT_ID = Answer(
        403,
        INVALID_PARAMS,
        "agent_id is not who asks.",
        "Leave agent_id out: the credential says who asks.",
    )
    INVALID_ARGUMENTS = Answer(
        422,
        INVALID_PARAMS,
        "The arguments are not what the tool takes.",
        "Send what its inputSchema describes; faults lists what is wrong, and where.",
    )
    TOOL_REFUSED = Answer(
        422,
        INTERNAL_ERROR,
        "The tool answered with an error.",
        "The tool's own words are in result.",
    )
    RATE_LIMITED = Answer(
        429,
        INVALID_REQUEST,
        "There were too many requests.",
        "Wait as long as Retry-After says.",
        retryable=True,
    )
    TOO_MANY_SESSIONS = Answer(
        503,
        INTERNAL_ERROR,
        "There are too many sessions, and every one is in use.",
        "End those that are no longer needed by DELETE, and try again later.",
        retryable=True,
    )
    TOKENS_UNAVAILABLE = Answer(
        503,
        INTERNAL_ERROR,
        "Tokens cannot be verified at the moment.",
        "Wait as long as Retry-After says; keys work meanwhile.",
        retryable=True,
    )
    RATES_UNAVAILABLE = Answer(
        503,
        INTERNAL_ERROR,
        "It cannot be told at the moment how much may still be asked.",
        "Wait as long as Retry-After says.",
        retryable=True,
    )
    HEADERS_TOO_LARGE = Answer(
        431,
        INVALID_REQUEST,
        "The headers are too large.",
        "Send fewer or shorter ones.",
    )
    OVERLOADED = Answer(
        503,
        INTERNAL_ERROR,
        "The server has all the work that it takes.",
        "Wait as long as Retry-After says.",
        retryable=True,
    )
    OWNER_UNREACHABLE = Answer(
        503,
        INTERNAL_ERROR,
        "The replica that has this session does not answer.",
        "Wait as long as Retry-After says; the call may have had its effect.",
        retryable=True,
    )
    SERVER_UNAVAILABLE = Answer(
        503,
        INTERNAL_ERROR,
        "The MCP server behind this one is not there.",
        "Where retryable is true, nothing was done yet: ask again. Else find out first.",
    )
    TIMEOUT = Answer(
        504,
        INTERNAL_ERROR,
        "The MCP server behind this one took too long.",
        "It was told to stop; what it had done until then stays done.",
    )
    SHUTTING_DOWN = Answer(
        503,
        INTERNAL_ERROR,
        "The server stops before this could be answered.",
        "Ask again; another replica answers. The call may have had its effect.",
        retryable=True,
    )
    TOOL_CRASHED = Answer(
        500,
        INTERNAL_ERROR,
        "The tool failed.",
        "Tell whoever runs the server the requestId; its log says more.",
    )
    INTERNAL = Answer(
        500,
        INTERNAL_ERROR,
        "The server failed.",
        "Tell whoever runs it the requestId.",
    )
    RESPONSE_TOO_LARGE = Answer(
        500,
        INTERNAL_ERROR,
        "The result is too large.",
        "Ask for less at once, or have limits.responses.max raised.",
    )
    HTTP_VERSION_NOT_SUPPORTED = Answer(
        505,
        INVALID_REQUEST,
        "Only HTTP/1.1 is spoken here.",
        "Use HTTP/1.1, or HTTP/2 through the Gateway.",
    )

    @property
    def outcome(self) -> Outcome:
        """Say whose fault it is: a limit is the caller's affair, a server that is away is ours."""
        if self in {Problem.RATE_LIMITED, Problem.OVERLOADED, Problem.TOO_MANY_SESSIONS}:
            return "limited"
        return "server_error" if self.value.status >= FIRST_FAULT_OF_OURS else "caller_error"


@dataclass
class Refused(Exception):  # noqa: N818 - a refusal is an answer, often not an error of ours
    """A request that gets a problem for an answer."""

    problem: Problem
    message: str = ""
    """What to say in place of the problem's own message; never a credential or a body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    message_id: str | int | None = None
    """The id of the JSON-RPC message, once it is known."""
    retry_after: int | None = None
    """Seconds after which it is worth trying again."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What programs may want to know beyond the message; never a credential or a body."""
    is_plain: bool = False
    """Whether the request is no JSON-RPC, although its path is JSON-RPC's."""
    rpc_code: int | None = None
    """The code of the JSON-RPC error, where its caller knows the problem by another."""

    @property
    def code(self) -> int:
        """The code of the JSON-RPC error."""
        return self.problem.value.rpc_code if self.rpc_code is None else self.rpc_code


@dataclass
class RpcError(Exception):
    """A JSON-RPC error with a code of the MCP specification."""

    code: int
    message: str
    data: Any = None


class StartError(Exception):
    """The process cannot start as it is configured; the message says what to change."""
