"""The spans of requests and calls, as OpenTelemetry's conventions for HTTP and MCP have them."""

import time
from collections.abc import Mapping
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import Link, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.status import Status, StatusCode

from breakwater_contract import telemetry_metrics as catalogue
from breakwater_contract.mcp import SPEC_CLIENT_METHODS
from breakwater_contract.monitoring import Tracing
from breakwater_runtime.calls import Call, Outcome, Request
from breakwater_runtime.observability import trace_context
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.observability.otlp import tail
from breakwater_runtime.observability.otlp.encoding import SCHEMA_URL, SCOPE
from breakwater_runtime.observability.otlp.sender import Sender

if TYPE_CHECKING:
    from contextvars import Token

TARGETS: Mapping[str, tuple[str, str]] = {
    "tools/call": ("name", "gen_ai.tool.name"),
    "prompts/get": ("name", "gen_ai.prompt.name"),
    "resources/read": ("uri", "mcp.resource.uri"),
    "resources/subscribe": ("uri", "mcp.resource.uri"),
    "resources/unsubscribe": ("uri", "mcp.resource.uri"),
}
"""Methods that use one thing: the parameter that says which, and the attribute that gets it."""

VALUE_CHARACTERS_MAX = 256
OTHER = "_other"
SERVER_FAILED = 500

LIMITS = SpanLimits(max_attribute_length=4096)

_PROPAGATOR = TraceContextTextMapPropagator()


class OpenSpan:
    """A span under way, and what was current before it."""

    __slots__ = ("_token", "span")

    def __init__(self, span: Span) -> None:
        """Make it current: what the code within begins is part of it."""
        self.span = span
        self._token: Token[Context] = context.attach(trace.set_span_in_context(span))

    def end(self, error: str, message: str = "") -> None:
        """End it; `error` says what went wrong, in few words from a closed set."""
        if error:
            self.span.set_attribute("error.type", error)
            self.span.set_status(Status(StatusCode.ERROR, message or None))
        self.span.end()
        context.detach(self._token)


class Spans:
    """Makes spans while tracing is on."""

    def __init__(self, resource: Mapping[str, str], metrics: Metrics) -> None:
        """Set the library up, once per process; nothing is recorded yet."""
        self._rate = tail.Rate(SystemRandom(), time.monotonic)
        self._sampler = tail.HeadSampler(self._rate)
        self._tail = tail.Tail(metrics.counter(catalogue.SPANS))
        provider = TracerProvider(
            sampler=self._sampler,
            resource=Resource(dict(resource)),
            shutdown_on_exit=False,
            span_limits=LIMITS,
        )
        provider.add_span_processor(self._tail)
        self._tracer = provider.get_tracer(SCOPE, schema_url=SCHEMA_URL)
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            # What tools trace by themselves becomes part of their calls' traces.
            trace.set_tracer_provider(provider)
            trace_context.mark_ours(provider)

    def start(self, tracing: Tracing, slow_seconds: float, sender: Sender) -> None:
        """Record from now on, and have `sender` send what is kept."""
        tail.apply(tracing, slow_seconds, self._rate, self._tail)
        self._tail.put = sender.put
        self._sampler.on = True

    def stop(self) -> None:
        """Record nothing more."""
        self._sampler.on = False

    # HTTP

    def begin_request(self, method: str, request: Request, traceparent: str) -> OpenSpan:
        """Begin the span of an HTTP request; `traceparent` is what the client sent."""
        parent = _extracted(traceparent, "")
        return OpenSpan(
            self._tracer.start_span(
                method,
                context=parent,
                kind=SpanKind.SERVER,
                attributes={"http.request.method": method, **_identified(request.id)},
            )
        )

    def end_request(self, span: OpenSpan, method: str, route: str, status: int) -> None:
        """End it, now that it is known where it led to and what it was answered."""
        span.span.update_name(f"{method} {route}")
        span.span.set_attribute("http.route", route)
        span.span.set_attribute("http.response.status_code", status)
        span.end(str(status) if status >= SERVER_FAILED else "")

    # MCP

    def begin_call(self, call: Call) -> "CallSpan":
        """Begin the span of an MCP request.

        Its parent is the one that the message names; the HTTP request that brought it is linked
        then, and otherwise its parent.
        """
        method = call.method if call.method in SPEC_CLIENT_METHODS else OTHER
        carrier = trace_context.of_message(call.params)
        parent = _extracted(*carrier) if carrier is not None else None
        http = trace.get_current_span().get_span_context()
        links = [Link(http)] if parent is not None and http.is_valid else []
        target, attributes = _target(call)
        span = self._tracer.start_span(
            f"{method} {target}" if target else method,
            context=parent,
            kind=SpanKind.SERVER,
            attributes={**_described(call, method), **attributes},
            links=links,
        )
        call.traceparent = trace_context.format_parent(span.get_span_context())
        return CallSpan(span)


class CallSpan(OpenSpan):
    """The span of an MCP request."""

    __slots__ = ()

    def end_call(self, call: Call, outcome: Outcome) -> None:
        """End it with what became of the request."""
        error = call.error
        if call.error_code is not None:
            self.span.set_attribute("rpc.response.status_code", str(call.error_code))
            error = error or str(call.error_code)
        if outcome != "ok" and not error:
            error = "tool_error" if call.method == "tools/call" else outcome
        self.span.set_attribute("breakwater.outcome", outcome)
        self.end("cancelled" if outcome == "cancelled" else error)


def _extracted(traceparent: str, tracestate: str) -> Context | None:
    """Get the client's context; None: it sent none that is well-formed."""
    carrier = {"traceparent": traceparent}
    if tracestate:
        carrier["tracestate"] = tracestate
    found = _PROPAGATOR.extract(carrier, context=Context())
    return found if trace.get_current_span(found).get_span_context().is_valid else None


def _identified(request_id: str) -> dict[str, Any]:
    """Put the request's id where collectors look for it; LangSmith makes metadata of the second."""
    return {
        "http.request.header.x-request-id": [request_id],
        "langsmith.metadata.request_id": request_id,
    }


def _described(call: Call, method: str) -> dict[str, Any]:
    request = Request.find(call.scope)
    attributes = {
        "mcp.method.name": method,
        "mcp.protocol.version": call.version,
        "jsonrpc.request.id": str(call.id)[:VALUE_CHARACTERS_MAX],
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "user.id": call.principal.name,
    }
    if method == "tools/call":
        attributes["gen_ai.operation.name"] = "execute_tool"
        attributes["langsmith.span.kind"] = "tool"
    return attributes | (_identified(request.id) if request is not None else {})


def _target(call: Call) -> tuple[str, dict[str, Any]]:
    """Get what stands in the span's name, and the attribute of what is used.

    A URI is no part of the name: there are too many.
    """
    use = TARGETS.get(call.method)
    value = (call.params or {}).get(use[0]) if use is not None else None
    if use is None or not isinstance(value, str):
        return "", {}
    value = value[:VALUE_CHARACTERS_MAX]
    return ("" if use[0] == "uri" else value), {use[1]: value}
