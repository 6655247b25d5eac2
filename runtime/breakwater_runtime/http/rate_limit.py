"""How often a principal may ask, and all of them together."""

from collections.abc import Awaitable, Callable
from typing import NoReturn

from prometheus_client import Counter
from starlette.types import Scope

from breakwater_contract.limits import Rates
from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.http.rate import Buckets, Verdict
from breakwater_runtime.http.shared_buckets import SharedBuckets
from breakwater_runtime.observability.audit import Audit, Event

REPLICA = "replica"


class Charges:
    """Charges requests and calls to token buckets at the rates of the moment.

    Where buckets are shared with other replicas, a charge has to be waited for.
    """

    def __init__(
        self,
        rates: Callable[[], Rates],
        buckets: Buckets,
        shared: SharedBuckets,
        *,
        limited: Counter,
        audit: Audit,
    ) -> None:
        """Count in `limited` which bucket was empty."""
        self._rates = rates
        self._buckets = buckets
        self._shared = shared
        self._limited = limited
        self._audit = audit

    def request(self, principal: str) -> Verdict | Awaitable[Verdict]:
        """Charge a request to its principal, then to the replica.

        In this order: a principal who asks too often takes nothing from the others.

        Raises:
            Refused: There have been too many.
        """
        rates = self._rates()
        if self._shared.on:
            return self._request_together(principal, rates)
        return self._request(self._buckets.take(("principal", principal), rates.principal), rates)

    async def _request_together(self, principal: str, rates: Rates) -> Verdict:
        return self._request(
            await self._shared.take("principal", principal, rates.principal), rates
        )

    def _request(self, verdict: Verdict, rates: Rates) -> Verdict:
        self._judge(verdict, "principal")
        if rates.replica is not None:
            self._judge(self._buckets.take(REPLICA, rates.replica), "replica")
        return verdict

    def tool(self, name: object) -> Awaitable[None] | None:
        """Charge a call to its tool, where the tool has a rate.

        Raises:
            Refused: It has been called too often.
        """
        tools = self._rates().tools
        if not tools or not isinstance(name, str) or name not in tools:
            return None
        if self._shared.on:
            return self._tool_together(name, tools[name])
        self._judge(self._buckets.take(("tool", name), tools[name]), "tool")
        return None

    async def _tool_together(self, name: str, per_minute: int) -> None:
        self._judge(await self._shared.take("tool", name, per_minute), "tool")

    def _judge(self, verdict: Verdict, bucket: str) -> None:
        """Let go on what a bucket allows.

        Raises:
            Refused: It was empty.
        """
        if not verdict.allowed:
            self._refuse(bucket, verdict)

    def _refuse(self, bucket: str, verdict: Verdict) -> NoReturn:
        self._limited.labels(bucket).inc()
        self._audit.record(Event.RATE_LIMITED, bucket=bucket)
        raise Refused(
            Problem.RATE_LIMITED,
            f"There were more than {verdict.limit} per minute for this {bucket}.",
            headers=verdict.headers(bucket),
            retry_after=verdict.retry_seconds,
        )


class RateLimit:
    """Refuses what comes too often, and tells clients how much they may still ask."""

    def __init__(self, *, charges: Charges) -> None:
        """Charge each request to its principal."""
        self._charges = charges
        self._policies: dict[int, tuple[bytes, bytes]] = {}

    def __call__(
        self,
        scope: Scope,  # noqa: ARG002 - as Step has it
        request: Request,
    ) -> Awaitable[None] | None:
        """Let the request go on, or refuse."""
        if request.principal is None:  # what needs no credential costs next to nothing
            return None
        verdict = self._charges.request(request.principal.name)
        if isinstance(verdict, Verdict):
            self._tell(request, verdict)
            return None
        return self._tell_later(request, verdict)

    async def _tell_later(self, request: Request, verdict: Awaitable[Verdict]) -> None:
        self._tell(request, await verdict)

    def _tell(self, request: Request, verdict: Verdict) -> None:
        left = b'"principal";r=%d;t=%d' % (verdict.remaining, verdict.reset_seconds)
        request.told = (self._policy(verdict), (b"ratelimit", left))

    def _policy(self, verdict: Verdict) -> tuple[bytes, bytes]:
        """Get the header that says what the limit is; one limit has one, made once."""
        policy = self._policies.get(verdict.limit)
        if policy is None:
            text = verdict.headers("principal")["ratelimit-policy"]
            policy = b"ratelimit-policy", text.encode()
            self._policies = {verdict.limit: policy}
        return policy
