"""The official conformance suite through a Service of a real cluster, with two pods behind it.

The fixture is mounted from a ConfigMap: it is an ordinary Python server. The suite has no way to
send a header, so a proxy on the loopback address adds the key; it leaves Host as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support.conformance import fronts, suite
from tests.support.keyproxy import KeyProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.installation import Installation

NAME = "conformance"
FOLDER = fronts.ROOT / "tests/support/conformance"


def configuration() -> dict[str, Any]:
    """Put the fixture's modules into a ConfigMap."""
    data = {path.name: path.read_text() for path in FOLDER.glob("*.py")}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": data}


def server(page_port: int) -> dict[str, Any]:
    """Serve it by two pods, to pages of the origin that the suite calls."""
    items = [
        {"key": path.name, "path": f"tests/support/conformance/{path.name}"}
        for path in FOLDER.glob("*.py")
    ]
    return {
        "apiVersion": "breakwater.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": NAME},
        "spec": {
            "replicas": 2,
            "backends": [
                {
                    "python": {
                        "server": fronts.FIXTURE,
                        "volumeMounts": [{"name": "fixture", "mountPath": "/srv"}],
                    }
                }
            ],
            "access": {"origins": [f"http://localhost:{page_port}"]},
            "pod": {"volumes": [{"name": "fixture", "configMap": {"name": NAME, "items": items}}]},
        },
    }


@pytest.fixture(scope="module")
def behind_a_service(installation: Installation) -> Iterator[KeyProxy]:
    """Give a proxy to the Service of the fixture's pods."""
    (page_port,) = fronts.free_ports(1)
    with installation.team("conform") as namespace:
        installation.apply(namespace, configuration(), server(page_port))
        installation.wait_ready(namespace, NAME)
        service = urlsplit(installation.base_url(namespace, NAME))
        assert service.hostname is not None
        assert service.port is not None
        yield KeyProxy(
            service.hostname,
            service.port,
            installation.key(namespace, NAME),
            own_port=page_port,
        )


@pytest.mark.requirement("C2", "C4")
@pytest.mark.parametrize("revision", suite.REVISIONS)
async def test_every_scored_scenario_passes_through_the_service(
    behind_a_service: KeyProxy, revision: str
) -> None:
    async with behind_a_service.serving() as origin:
        report = await suite.run(f"{origin}/mcp", revision)

    scored = suite.requirements(revision).scored
    assert {name: report.failing[name] for name in report.failing.keys() & scored} == {}
