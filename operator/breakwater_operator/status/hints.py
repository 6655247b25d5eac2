"""What of a valid manifest may turn out otherwise than its writer thinks."""

from collections.abc import Iterator
from datetime import datetime
from math import ceil

from breakwater_operator.api.models import McpServer, McpServerSpec
from breakwater_operator.status.facts import Facts

DRAINS_WAIT = (
    "spec.pod.disruption lets none of the pods be missing: whoever drains a node waits for them "
    "for ever, which is right only where somebody moves them by hand"
)


def hints(server: McpServer, now: datetime) -> Iterator[str]:
    """Say what somebody may want to know who wrote no mistake."""
    spec = server.spec
    if spec.autoscaling is not None:
        yield "spec.replicas is only the start value, for spec.autoscaling decides"
    yield from _egress(spec)
    permissive = spec.access.permissive
    if permissive is not None and permissive.ends <= now:
        yield (
            f"spec.access.permissive ended at {permissive.until}: callers without a credential "
            "are refused again, and the field can be removed"
        )
    if _holds_drains(server):
        yield DRAINS_WAIT


def due_seconds(facts: Facts) -> float | None:
    """Say in how long there will be another one, though nothing changes; None: never."""
    permissive = facts.server.spec.access.permissive if facts.server is not None else None
    if permissive is None or permissive.ends <= facts.now:
        return None
    return (permissive.ends - facts.now).total_seconds()


def _egress(spec: McpServerSpec) -> Iterator[str]:
    calls_by_itself = any(backend.remote is None for backend in spec.backends)
    if spec.egress is None and not spec.egress_rules and calls_by_itself:
        yield (
            "without spec.egress, a backend that calls out is held back: write egress: Internet, "
            "or what it calls into egressRules"
        )
    remote = ("remote backends",) if any(backend.remote for backend in spec.backends) else ()
    issuer = ("the issuer of access.jwt",) if spec.access.jwt is not None else ()
    if spec.egress == "None" and not spec.egress_rules and (issuer or remote):
        away = " and ".join((*issuer, *remote))
        yield f"spec.egress: None closes the way to {away} too; open it in egressRules"


def _holds_drains(server: McpServer) -> bool:
    """Whether none of the pods may be missing, however many there come to be."""
    chosen = server.spec.pod.disruption
    if chosen is None:
        return False
    if chosen.min_available is None:
        return chosen.max_unavailable in {0, "0%"}
    if server.is_scaled_by_others:
        return bool(chosen.min_available == "100%")
    scaling = server.spec.autoscaling
    most = server.spec.replicas if scaling is None else scaling.max
    return 0 < most <= _pods(chosen.min_available, most)


def _pods(bound: int | str, of: int) -> int:
    """Count the pods that a bound means, as Kubernetes does: a part is rounded up."""
    return bound if isinstance(bound, int) else ceil(int(bound.removesuffix("%")) * of / 100)
