"""How often a principal may ask, and all of them together."""

from collections.abc import Callable, Hashable
from typing import NoReturn

from prometheus_client import Counter
from starlette.types import Scope

from breakwater_contract.limits import Rates
from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.http.rate import Buckets, Verdict
from breakwater_runtime.observability.audit import Audit, Event


class Charges:
    """Charges requests and calls to token buckets at the rates of the moment."""

    def __init__(
        self, rates: Callable[[], Rates], buckets: Buckets, *, limited: Counter, audit: Audit
    ) -> None:
        """Count in `limited` which bucket was empty."""
        self._rates = rates
        self._buckets = buckets
        self._limited = limited
        self._audit = audit

    def request(self, principal: str) -> Verdict:
        """Charge a request to its principal, then to the replica.

        In this order: a principal who asks too often takes nothing from the others.

        Raises:
            Refused: There have been too many.
        """
        rates = self._rates()
        verdict = self._take(("principal", principal), "principal", rates.principal)
        if rates.replica is not None:
            self._take("replica", "replica", rates.replica)
        return verdict

    def tool(self, name: object) -> None:
        """Charge a call to its tool, where the tool has a rate.

        Raises:
            Refused: It has been called too often.
        """
        tools = self._rates().tools
        if tools and isinstance(name, str) and name in tools:
            self._take(("tool", name), "tool", tools[name])

    def _take(self, key: Hashable, bucket: str, per_minute: int) -> Verdict:
        verdict = self._buckets.take(key, per_minute)
        if not verdict.allowed:
            self._refuse(bucket, verdict)
        return verdict

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

    def __call__(self, scope: Scope, request: Request) -> None:  # noqa: ARG002 - as Step has it
        """Let the request go on, or refuse."""
        if request.principal is not None:  # what needs no credential costs next to nothing
            verdict = self._charges.request(request.principal.name)
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
