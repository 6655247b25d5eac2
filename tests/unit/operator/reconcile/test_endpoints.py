import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from breakwater_operator.reconcile.endpoints import Endpoints
from tests.unit.runtime.test_process import reserved


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_kubelet_and_prometheus_come_to_an_address_of_either_family(host: str) -> None:
    endpoints = Endpoints(list, lambda: ["caches"], CollectorRegistry())
    with reserved() as (port, _):
        await endpoints.start(port)
        async with (
            aiohttp.ClientSession(f"http://{host}:{port}") as kubelet,
            kubelet.get("/healthz") as alive,
            kubelet.get("/readyz") as ready,
        ):
            answered = alive.status, ready.status, await ready.text()
        await endpoints.stop()

    assert answered == (200, 503, "caches\n")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        pytest.param("", {"passes", "depth"}, id="everything"),
        pytest.param("?name[]=depth", {"depth"}, id="one-of-it"),
        pytest.param("?name[]=nothing", set(), id="what-there-is-not"),
    ],
)
async def test_metrics_can_be_asked_for_by_name(query: str, told: set[str]) -> None:
    registry = CollectorRegistry()
    for name in ("passes", "depth"):
        Gauge(name, name, registry=registry)
    endpoints = Endpoints(list, list, registry)
    with reserved() as (port, _):
        await endpoints.start(port)
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as prometheus,
            prometheus.get(f"/metrics{query}") as answer,
        ):
            page = await answer.text()
        await endpoints.stop()

    samples = [line.split()[0] for line in page.splitlines() if not line.startswith("#")]
    assert set(samples) == told
