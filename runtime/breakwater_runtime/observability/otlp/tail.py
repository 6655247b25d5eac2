"""Which traces are kept: decided at their end, when it is known what became of them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.trace.status import StatusCode
from opentelemetry.util.types import Attributes
from prometheus_client import Counter

from breakwater_contract.monitoring import Tracing

OPEN_SPANS_MAX = 20_000
"""How many spans may be under way; beyond it the oldest are given up: they may never end."""

TRACE_SPANS_MAX = 512
"""How many spans one request may have; a tool that makes more loses them, not its neighbours."""

BUFFERED_SPANS_MAX = 50_000
"""How many ended spans may wait for the end of their requests."""

NANOSECONDS = 1_000_000_000


class Rate:
    """The part of ordinary traces that is kept: a percentage, and so many a second at most.

    What a client says of sampling counts for nothing, and its trace ids neither: with either it
    could have us keep everything.
    """

    def __init__(self, random: Random, elapsed: Callable[[], float]) -> None:
        """Keep nothing yet."""
        self._random = random
        self._elapsed = elapsed
        self._share = 0.0
        self._per_second = 0
        self._tokens = 0.0
        self._filled = elapsed()

    def set(self, percent: int, per_second: int) -> None:
        """Keep this part from now on."""
        self._share = percent / 100
        self._per_second = per_second
        self._tokens = min(self._tokens or per_second, float(per_second))

    def picks(self) -> bool:
        """Say whether to keep another one."""
        if self._random.random() >= self._share:
            return False
        now = self._elapsed()
        refilled = self._tokens + (now - self._filled) * self._per_second
        self._tokens, self._filled = min(refilled, float(self._per_second)), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class HeadSampler(Sampler):
    """Records everything, and marks as sampled what is kept whatever becomes of it.

    The mark goes to backends: these record what we would keep anyway.
    """

    def __init__(self, rate: Rate) -> None:
        """Mark by `rate`."""
        self._rate = rate
        self.on = False

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,  # noqa: ARG002 - as Sampler has it
        name: str,  # noqa: ARG002 - as Sampler has it
        kind: SpanKind | None = None,  # noqa: ARG002 - as Sampler has it
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,  # noqa: ARG002 - as Sampler has it
        trace_state: TraceState | None = None,  # noqa: ARG002 - as Sampler has it
    ) -> SamplingResult:
        """Decide about one span."""
        if not self.on:
            return SamplingResult(Decision.DROP)
        parent = get_current_span(parent_context).get_span_context()
        ours = parent.is_valid and not parent.is_remote
        sampled = parent.trace_flags.sampled if ours else self._rate.picks()
        decision = Decision.RECORD_AND_SAMPLE if sampled else Decision.RECORD_ONLY
        return SamplingResult(decision, attributes, parent.trace_state)

    def get_description(self) -> str:
        """Name it."""
        return "HeadSampler"


@dataclass(slots=True, eq=False)
class _Request:
    """What is known of one request's spans."""

    root: int
    spans: list[ReadableSpan] = field(default_factory=list)
    has_error: bool = False
    kept: bool | None = None
    """Whether it is kept; None: it has not ended."""


class Tail(SpanProcessor):
    """Holds the spans of a request back until the request has ended.

    Tools may end spans in threads of theirs: there is a lock.
    """

    def __init__(self, count: Counter) -> None:
        """Count in `count` what became of spans that are not sent."""
        self._count = count
        self._lock = threading.Lock()
        self._open: OrderedDict[int, _Request] = OrderedDict()
        self._buffered = 0
        self.put: Callable[[Sequence[ReadableSpan]], None] = lambda _: None
        """Takes what is kept."""
        self.slow_nanoseconds = 0

    @property
    def open(self) -> int:
        """How many spans are under way."""
        return len(self._open)

    def on_start(
        self,
        span: Span,
        parent_context: Context | None = None,  # noqa: ARG002 - as SpanProcessor has it
    ) -> None:
        """Find the request that a span belongs to."""
        parent, own = span.parent, span.get_span_context()
        with self._lock:
            request = (
                self._open.get(parent.span_id)
                if parent is not None and not parent.is_remote
                else None
            )
            self._open[own.span_id] = request or _Request(own.span_id)
            if len(self._open) > OPEN_SPANS_MAX:
                self._open.popitem(last=False)
                self._count.labels("dropped").inc()

    def on_end(self, span: ReadableSpan) -> None:
        """Hold a span back, or decide about its request where it is the last."""
        context = span.get_span_context()
        if context is None:
            return
        with self._lock:
            request = self._open.pop(context.span_id, None)
            if request is None:  # given up
                return
            kept = self._take(request, span, is_root=request.root == context.span_id)
        if kept:
            self.put(kept)

    def _take(
        self, request: _Request, span: ReadableSpan, *, is_root: bool
    ) -> Sequence[ReadableSpan]:
        if request.kept is not None:  # it goes on although its request has ended
            if not request.kept:
                self._count.labels("sampled_out").inc()
            return [span] if request.kept else ()
        request.has_error |= span.status.status_code is StatusCode.ERROR
        if is_root:
            return self._decide(request, span)
        if len(request.spans) >= TRACE_SPANS_MAX or self._buffered >= BUFFERED_SPANS_MAX:
            self._count.labels("dropped").inc()
        else:
            request.spans.append(span)
            self._buffered += 1
        return ()

    def _decide(self, request: _Request, root: ReadableSpan) -> Sequence[ReadableSpan]:
        context = root.get_span_context()
        seconds = (root.end_time or 0) - (root.start_time or 0)
        request.kept = (
            request.has_error
            or seconds >= self.slow_nanoseconds
            or (context is not None and context.trace_flags.sampled)
        )
        spans = [*request.spans, root]
        self._buffered -= len(request.spans)
        request.spans.clear()
        if request.kept:
            return spans
        self._count.labels("sampled_out").inc(len(spans))
        return ()

    def shutdown(self) -> None:
        """Nothing is left behind: what has not ended is not known."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - as SpanProcessor
        """Do nothing: there is nothing to wait for."""
        return True


def apply(tracing: Tracing, slow_seconds: float, rate: Rate, tail: Tail) -> None:
    """Take over settings."""
    rate.set(tracing.percent, tracing.per_second)
    tail.slow_nanoseconds = int(slow_seconds * NANOSECONDS)
