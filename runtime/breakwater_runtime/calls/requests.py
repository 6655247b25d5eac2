"""Who asks, in which request, and for what."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from breakwater_runtime.calls.channels import Channel, Peer
    from breakwater_runtime.calls.problems import Outcome, Problem

_SCOPE_KEY: Final = "breakwater.request"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    name: str
    """The name that policies, logs and metrics know."""
    scopes: frozenset[str] = frozenset()
    """What its token was granted, as policies ask for it; keys have none."""
    methods: frozenset[str] | None = None
    """The only MCP methods that the credential is good for; None: all."""

    def __hash__(self) -> int:
        """Hash the name: hardly two principals have the same."""
        return hash(self.name)


class Request:
    """What is known of one HTTP request; the steps it passes fill it in."""

    id: str
    principal: Principal | None
    message_id: str | int | None
    """The id of its JSON-RPC message, once it is known."""
    address: str = ""
    """Where it comes from, as far as the proxies in front can be believed."""
    secure: bool
    """Whether nobody on the way could read it."""
    is_plain: bool = False
    """Whether it turned out to be no JSON-RPC, although its path is JSON-RPC's."""
    last_words: Callable[[bytes], bytes] | None = None
    """Once its answer is a stream: makes the stream's end of an error body; None: it is a stream of
    JSON-RPC messages."""
    headers: dict[bytes, bytes]
    """Its headers; where one was sent several times, all values, with `, ` between them."""
    body_bytes_max: int | None = None
    """How much of its body is read; None: its length is known to be within the limit."""
    status: int | None = None
    """The status of its answer, once that has begun."""
    told: Sequence[tuple[bytes, bytes]] = ()
    """Headers that steps add to its answer, unless that is a refusal."""
    streams: Callable[["Request"], None] | None = None
    """Called when its answer begins as a stream of events."""
    ends: list[Callable[["Request"], None]]
    """Called when everything about it is over, the last one first."""
    is_over: bool = False
    """Whether they have been."""
    answers_with_room: int = 0
    """How many large answers are on their way to it that have room already."""
    abandon: Callable[[], None] | None = None
    """Ends the connection of a client that takes its large answer too slowly; None: it is not yet
    being sent one."""
    forwarded: bool = False
    """Whether another pod passed it on; then it is answered here, or nowhere."""
    is_stream: bool = False
    """Whether its answer is a stream."""
    said: Callable[["Request", bytes], None] | None = None
    """Called with every part of a stream."""
    began: float = 0.0
    """When it came, by the clock that only goes forward."""
    tool_calls: int = 0
    """How many calls of tools it has brought."""
    tool_seconds: float = 0.0
    """How long these were with their tools."""
    calls_elsewhere: bool = False
    """Whether it is passed on to another pod with such a call; that one counts it."""
    outcome: "Outcome | None" = None
    """What became of its messages; None: its status says all."""

    # By hand, here and below: what a dataclass makes is not compiled.
    def __init__(
        self,
        request_id: str,
        principal: Principal | None = None,
        message_id: str | int | None = None,
        *,
        secure: bool = False,
        headers: dict[bytes, bytes] | None = None,
    ) -> None:
        """Begin with what is known at first."""
        self.id = request_id
        self.principal = principal
        self.message_id = message_id
        self.secure = secure
        self.headers = {} if headers is None else headers
        self.ends = []

    def give_up(self, problem: "Problem") -> None:
        """Know that it was not answered, or not to the end, since something went wrong here."""
        self.outcome = problem.outcome
        if self.status is None:
            self.status = problem.value.status

    def bind(self, scope: MutableMapping[str, Any]) -> None:
        """Make it known to every step further in."""
        scope[_SCOPE_KEY] = self
        if not self.headers:
            self.headers = by_name(scope["headers"])

    @staticmethod
    def find(scope: MutableMapping[str, Any]) -> "Request | None":
        """Get it where a step has bound it."""
        request = scope.get(_SCOPE_KEY)
        return request if isinstance(request, Request) else None

    @staticmethod
    def of(scope: MutableMapping[str, Any]) -> "Request":
        """Get the request that the first step bound."""
        request = scope[_SCOPE_KEY]
        if not isinstance(request, Request):
            raise TypeError(f"scope[{_SCOPE_KEY!r}] is {type(request).__name__}, not Request")
        return request


def by_name(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Find headers by their names, with all values of one that stands there several times."""
    pairs = raw if isinstance(raw, list) else list(raw)
    found = dict(pairs)
    if len(found) != len(pairs):
        for name in found:
            found[name] = b", ".join(value for other, value in pairs if other == name)
    return found


class Call:
    """One MCP request on its way to a backend."""

    method: str
    params: dict[str, Any] | None
    id: str | int
    version: str
    """The revision of the specification that the client speaks."""
    principal: Principal
    scope: MutableMapping[str, Any]
    """The HTTP request that brought it, as ASGI describes it."""
    channel: "Channel"
    backend: str = ""
    """The backend that it went to, where there are several."""
    peer: "Peer | None"
    """The backend's side of its session; None: there is no session."""
    outcome: "Outcome" = "ok"
    """What its result says; the backend sets it, since errors of tools are results too."""
    tool_seconds: float | None = None
    """How long it was with its tool; None: all the time that the backend had it."""
    error: str = ""
    """What went wrong, in one word; empty: nothing, or `error_code` says it."""
    error_code: int | None = None
    """The code of the JSON-RPC error that answers it."""
    traceparent: str = ""
    """Where in a trace it is, for those whom the backend asks; empty: tracing is off."""
    span: Any = None
    """Its span, where tracing is on."""
    examine: Callable[[Any, "Call"], Awaitable[None]] | None = None
    """Has the last word before the backend, which it gets together with the call."""

    def __init__(
        self,
        method: str,
        params: dict[str, Any] | None,
        call_id: str | int,
        version: str,
        principal: Principal,
        scope: MutableMapping[str, Any],
        channel: "Channel",
        peer: "Peer | None" = None,
    ) -> None:
        """Begin with what the client said."""
        self.method = method
        self.params = params
        self.id = call_id
        self.version = version
        self.principal = principal
        self.scope = scope
        self.channel = channel
        self.peer = peer

    def again(self) -> "Call":
        """Make another one that is as this one is now."""
        other = Call(
            self.method,
            self.params,
            self.id,
            self.version,
            self.principal,
            self.scope,
            self.channel,
            self.peer,
        )
        other.backend, other.tool_seconds = self.backend, self.tool_seconds
        other.outcome, other.error, other.error_code = self.outcome, self.error, self.error_code
        other.traceparent, other.span, other.examine = self.traceparent, self.span, self.examine
        return other
