"""What controllers of others say of the children that they act upon."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from breakwater_operator.api.reasons import Reason
from breakwater_operator.status.facts import Facts, Problem

ROUTE_SECONDS = 10.0
"""How long a Gateway may refuse a route before that is told: it may see it before the Service."""

UNSEEN_SECONDS = 300.0
"""How long a route may be without a word of any Gateway: one that is not there says none, and one
that was made with it may take minutes to get its load balancer."""

AUTOSCALER_SECONDS = 300.0
"""How long an autoscaler may be without metrics: pods that have just started have none, and
Kubernetes itself waits as long for the load of a start to be over."""

CERTIFICATE_SECONDS = 600.0
"""How long cert-manager may take: an issuer may have to wait for DNS."""

SERVES_NOBODY = "ScalingDisabled"
"""What an autoscaler says of a Deployment without pods."""


@dataclass(frozen=True)
class _Complaint:
    problem: Problem
    since: datetime
    patience_seconds: float

    def due_seconds(self, now: datetime) -> float:
        return self.patience_seconds - (now - self.since).total_seconds()


def problems(facts: Facts) -> list[Problem]:
    """Say what keeps them from doing their part, once that has lasted."""
    return [one.problem for one in _complaints(facts) if one.due_seconds(facts.now) <= 0]


def due_seconds(facts: Facts) -> float | None:
    """Say in how long something has lasted long enough; None where there is nothing."""
    waits = [one.due_seconds(facts.now) for one in _complaints(facts)]
    return min((wait for wait in waits if wait > 0), default=None)


def _complaints(facts: Facts) -> Iterator[_Complaint]:
    if facts.route is not None:
        yield from _route(facts.route)
    if facts.certificate is not None:
        yield from _certificate(facts.certificate)
    if facts.autoscaler is not None:
        yield from _autoscaler(facts.autoscaler)


def _route(route: Mapping[str, Any]) -> Iterator[_Complaint]:
    parents = (route.get("status") or {}).get("parents") or ()
    if not parents:
        yield _unseen(route)
    for parent in parents:
        where = parent["parentRef"]
        namespace = where.get("namespace") or route["metadata"]["namespace"]
        for one in _false(parent, {"Accepted", "ResolvedRefs"}, route):
            message = (
                f"Gateway {namespace}/{where['name']} does not lead to the "
                f"server: {_words(one)}; correct spec.expose, or have the Gateway's owner "
                f"admit HTTPRoute {_name(route)}"
            )
            problem = Problem(Reason.ROUTE_REFUSED, message)
            yield _Complaint(problem, _since(one, route), ROUTE_SECONDS)
            return


def _unseen(route: Mapping[str, Any]) -> _Complaint:
    where: Mapping[str, Any] = next(iter((route.get("spec") or {}).get("parentRefs") or ()), {})
    namespace = where.get("namespace") or route["metadata"]["namespace"]
    message = (
        f"no Gateway has said a word of HTTPRoute {_name(route)}: see that Gateway "
        f"{namespace}/{where.get('name')} exists and that something serves its class, or correct "
        "spec.expose"
    )
    since = datetime.fromisoformat(route["metadata"]["creationTimestamp"])
    return _Complaint(Problem(Reason.ROUTE_REFUSED, message), since, UNSEEN_SECONDS)


def _certificate(certificate: Mapping[str, Any]) -> Iterator[_Complaint]:
    for one in _false(certificate.get("status"), {"Ready"}, certificate):
        message = (
            f"cert-manager has no certificate for Certificate {_name(certificate)}: "
            f"{_words(one)}; correct spec.expose.certificate, or see what `kubectl describe "
            "certificaterequests` says"
        )
        problem = Problem(Reason.CERTIFICATE_MISSING, message)
        yield _Complaint(problem, _since(one, certificate), CERTIFICATE_SECONDS)


def _autoscaler(autoscaler: Mapping[str, Any]) -> Iterator[_Complaint]:
    wanted = {"AbleToScale", "ScalingActive"}
    for one in _false(autoscaler.get("status"), wanted, autoscaler):
        if one.get("reason") == SERVES_NOBODY:
            continue
        message = (
            f"HorizontalPodAutoscaler {_name(autoscaler)} cannot scale the pods: "
            f"{_words(one)}; mend that (metrics of pods come from metrics-server, and only "
            "one autoscaler may scale them), or remove spec.autoscaling"
        )
        problem = Problem(Reason.AUTOSCALER_FAILED, message)
        yield _Complaint(problem, _since(one, autoscaler), AUTOSCALER_SECONDS)
        return


def _false(
    status: Mapping[str, Any] | None, wanted: AbstractSet[str], live: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Find the wanted conditions that are false of an object as it is now, as far as they say."""
    generation = live["metadata"].get("generation")
    for one in (status or {}).get("conditions") or ():
        is_about = one.get("observedGeneration", generation) == generation
        if one["type"] in wanted and one["status"] == "False" and is_about:
            yield one


def _words(condition: Mapping[str, Any]) -> str:
    return ": ".join(condition[key] for key in ("reason", "message") if condition.get(key))


def _name(live: Mapping[str, Any]) -> str:
    return f"{live['metadata']['namespace']}/{live['metadata']['name']}"


def _since(condition: Mapping[str, Any], live: Mapping[str, Any]) -> datetime:
    """Since when it says so; cert-manager and autoscalers need not write that down."""
    said = condition.get("lastTransitionTime") or live["metadata"]["creationTimestamp"]
    return datetime.fromisoformat(said)
