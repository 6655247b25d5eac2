"""What a manifest names that the platform does not allow."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from breakwater_contract.networks import network
from breakwater_operator.api.errors import Fault, SpecError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Allowed, Platform
from breakwater_operator.api.reasons import Reason

NO_GATEWAY = (
    "the platform has no Gateway of its own; write gateway or ingressClassName, or a certificate "
    "for TLS in the pods"
)
NO_COLLECTOR = (
    "the platform has no collector of traces (monitoring.otlp in the operator's configuration); "
    "remove tracing, or have one set up"
)


def faults(server: McpServer, platform: Platform) -> tuple[Fault, ...]:
    """Say what of a manifest the platform does not allow or does not have."""
    allowed = platform.allowed
    return (*_named(server, allowed), *_switched(server, allowed), *_lacking(server, platform))


def check(server: McpServer, platform: Platform) -> None:
    """Refuse what the platform does not allow or does not have.

    Raises:
        SpecError: With every fault.
    """
    if found := faults(server, platform):
        raise SpecError(found)


def _lacking(server: McpServer, platform: Platform) -> Iterator[Fault]:
    if server.spec.monitoring.tracing is not None and platform.monitoring.otlp is None:
        yield Fault("spec.monitoring.tracing", NO_COLLECTOR)
    expose = server.spec.expose
    if expose is None or platform.gateway is not None or expose.certificate is not None:
        return
    if expose.gateway is None and expose.ingress_class_name is None:
        yield Fault("spec.expose", NO_GATEWAY)


def _named(server: McpServer, allowed: Allowed) -> Iterator[Fault]:
    spec = server.spec
    expose, jwt = spec.expose, spec.access.jwt
    certificate = expose.certificate if expose is not None else None
    hosts = [host.replace("{namespace}", server.namespace) for host in allowed.hosts]
    pod = spec.pod
    for where, found, patterns in (
        ("runtime.image", spec.runtime.image, allowed.registries),
        ("access.jwt.issuer", jwt and jwt.issuer, allowed.issuers),
        (
            "expose.certificate.issuer",
            certificate and certificate.issuer,
            allowed.certificate_issuers,
        ),
        ("expose.gateway", expose and expose.gateway, allowed.gateways),
        ("expose.ingressClassName", expose and expose.ingress_class_name, allowed.ingress_classes),
        ("expose.host", expose and expose.host, hosts),
        (
            "pod.placement.priorityClassName",
            pod.placement.priority_class_name,
            allowed.priority_classes,
        ),
    ):
        yield from _outside(where, [found] if found else [], patterns)
    for backend in spec.backends:
        if backend.container is not None:
            where = f"backends[{backend.name}].container.image"
            yield from _outside(where, [backend.container.image], allowed.registries)
    yield from _outside("pod.labels", pod.labels, allowed.pod_labels)
    yield from _outside("pod.annotations", pod.annotations, allowed.pod_annotations)
    for volume in pod.volumes:
        sources = volume.model_dump(by_alias=True, exclude_none=True).keys() - {"name"}
        yield from _outside(f"pod.volumes[{volume.name}]", sources, allowed.volumes)
    for backend in spec.backends:
        if backend.remote is not None:
            where = f"backends[{backend.name}].remote"
            yield from _outside(f"{where}.url", [backend.remote.host], allowed.remotes)
            yield from _outside(
                f"{where}.addresses", backend.remote.addresses, allowed.networks, _part_of
            )
    networks = [rule.cidr for rule in spec.egress_rules if rule.cidr is not None]
    yield from _outside("egressRules", networks, allowed.networks, _part_of)


def _switched(server: McpServer, allowed: Allowed) -> Iterator[Fault]:
    if server.spec.egress == "Internet" and not allowed.internet:
        yield _fault("egress", "Internet", "remove it, or list what is needed in egressRules")
    if server.spec.access.insecure_anonymous and not allowed.anonymous:
        yield _fault("access.insecureAnonymous", "true", "remove it, and give clients keys")


def _fits(text: str, pattern: str) -> bool:
    shape = ".*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(shape, text, re.DOTALL) is not None


def _part_of(text: str, pattern: str) -> bool:
    """Whether a network is one that is allowed, or a part of it."""
    try:
        whole, part = network(pattern), network(text)
    except ValueError:
        return _fits(text, pattern)
    first, last = part.network_address, part.broadcast_address
    return part.version == whole.version and first in whole and last in whole


def _outside(
    where: str,
    found: Iterable[str],
    patterns: Sequence[str],
    fits: Callable[[str, str], bool] = _fits,
) -> Iterator[Fault]:
    for one in found:
        if patterns and not any(fits(one, pattern) for pattern in patterns):
            yield _fault(where, one, f"write one of: {', '.join(patterns)}")


def _fault(where: str, found: str, instead: str) -> Fault:
    message = f"{found} is not allowed on this platform; {instead}"
    return Fault(f"spec.{where}", message, Reason.NOT_ALLOWED)
