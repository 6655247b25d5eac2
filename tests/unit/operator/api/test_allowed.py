"""What the platform's owner does not allow is refused with what may be written instead."""

from typing import Any

import pytest

from breakwater_operator.api import allowed
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.api.reasons import Reason


def server(**spec: Any) -> McpServer:
    metadata = {"name": "web", "namespace": "team-a", "uid": "u", "generation": 1}
    backends = [{"python": {"server": "a:b"}}]
    return McpServer.parse({"metadata": metadata, "spec": {"backends": backends} | spec})


def platform(allowed: dict[str, Any], **parts: Any) -> Platform:
    images = {"runtime": "registry.example/runtime:1"}
    return Platform.parse(
        {"namespace": "breakwater-system", "images": images, "allowed": allowed} | parts
    )


EXPOSE = {"host": "web.example", "gateway": "infra/public"}
CERTIFICATE = {"host": "web.example", "certificate": {"issuer": "letsencrypt"}}

CASES: list[Any] = [
    pytest.param(
        {"runtime": {"image": "evil.example/x:1"}},
        {"registries": ["registry.example/*"]},
        "spec.runtime.image: evil.example/x:1 is not allowed on this platform; "
        "write one of: registry.example/*",
        id="registry",
    ),
    pytest.param(
        {"runtime": {"image": "registry.example.evil/x:1"}},
        {"registries": ["registry.example/*"]},
        "spec.runtime.image",
        id="registry-prefix",
    ),
    pytest.param(
        {"access": {"jwt": {"issuer": "https://evil.example", "audiences": ["a"]}}},
        {"issuers": ["https://id.example"]},
        "spec.access.jwt.issuer",
        id="issuer",
    ),
    pytest.param(
        {"expose": EXPOSE}, {"gateways": ["infra/private"]}, "spec.expose.gateway", id="gw"
    ),
    pytest.param({"expose": EXPOSE}, {"hosts": ["*.{namespace}.x"]}, "*.team-a.x", id="host"),
    pytest.param(
        {"expose": CERTIFICATE},
        {"certificateIssuers": ["internal"]},
        "spec.expose.certificate.issuer",
        id="certificate-issuer",
    ),
    pytest.param(
        {"expose": {"host": "a.b", "ingressClassName": "nginx"}},
        {"ingressClasses": ["internal"]},
        "spec.expose.ingressClassName",
        id="ingress-class",
    ),
    pytest.param(
        {"pod": {"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "c"}}]}},
        {"volumes": ["emptyDir"]},
        "spec.pod.volumes[a]: persistentVolumeClaim is not allowed",
        id="volume",
    ),
    pytest.param(
        {"pod": {"labels": {"a": "b"}}}, {"podLabels": ["team"]}, "spec.pod.labels: a", id="label"
    ),
    pytest.param(
        {"pod": {"annotations": {"sidecar.istio.io/inject": "x"}}},
        {"podAnnotations": ["example.com/*"]},
        "spec.pod.annotations",
        id="annotation",
    ),
    pytest.param(
        {"pod": {"placement": {"priorityClassName": "high"}}},
        {"priorityClasses": ["low"]},
        "spec.pod.placement.priorityClassName",
        id="priority",
    ),
    pytest.param(
        {"egressRules": [{"cidr": "10.0.0.0/8"}]},
        {"networks": ["10.1.0.0/16"]},
        "spec.egressRules: 10.0.0.0/8",
        id="network",
    ),
    pytest.param(
        {"egressRules": [{"cidr": "fd00::/16"}]},
        {"networks": ["10.0.0.0/8", "fd00::/17"]},
        "spec.egressRules: fd00::/16",
        id="network-of-another-version",
    ),
    pytest.param({"egress": "Internet"}, {"internet": False}, "spec.egress", id="internet"),
    pytest.param(
        {"access": {"insecureAnonymous": True}},
        {"anonymous": False},
        "spec.access.insecureAnonymous",
        id="anonymous",
    ),
]


@pytest.mark.parametrize(("spec", "rules", "says"), CASES)
def test_what_is_not_allowed_is_refused(
    spec: dict[str, Any], rules: dict[str, Any], says: str
) -> None:
    (fault,) = allowed.faults(server(**spec), platform(rules))

    assert says in str(fault)
    assert fault.reason is Reason.NOT_ALLOWED


@pytest.mark.parametrize(("spec", "rules", "says"), CASES)
def test_an_empty_list_allows_everything(
    spec: dict[str, Any], rules: dict[str, Any], says: str
) -> None:
    del rules, says

    assert allowed.faults(server(**spec), platform({})) == ()


def test_what_fits_any_pattern_is_allowed() -> None:
    rules = {"hosts": ["x", "*.{namespace}.apps.example"], "gateways": ["infra/*"]}
    spec = {"expose": {"host": "web.team-a.apps.example", "gateway": "infra/public"}}

    assert allowed.faults(server(**spec), platform(rules)) == ()


def test_a_host_alone_needs_a_gateway_of_the_platform() -> None:
    spec = {"expose": {"host": "web.example"}}

    (fault,) = allowed.faults(server(**spec), platform({}))

    assert "write gateway or ingressClassName" in str(fault)
    assert allowed.faults(server(**spec), platform({}, gateway="infra/public")) == ()


def test_traces_need_a_collector_of_the_platform() -> None:
    spec: dict[str, Any] = {"monitoring": {"tracing": {}}}

    (fault,) = allowed.faults(server(**spec), platform({}))

    assert str(fault).startswith("spec.monitoring.tracing: the platform has no collector")
    collector = {"otlp": {"endpoint": "http://otel.telemetry.svc:4318"}}
    assert allowed.faults(server(**spec), platform({}, monitoring=collector)) == ()


@pytest.mark.parametrize("network", ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "fd00:1::/32"])
@pytest.mark.parametrize("networks", [["10.0.0.0/8", "fd00::/8"], ["10.*", "fd00:*"], ["*"]])
def test_what_is_in_a_network_that_is_allowed_is_allowed(network: str, networks: list[str]) -> None:
    spec = {"egressRules": [{"cidr": network}]}

    assert allowed.faults(server(**spec), platform({"networks": networks})) == ()
