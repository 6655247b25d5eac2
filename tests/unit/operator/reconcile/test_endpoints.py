import aiohttp
import pytest
from prometheus_client import CollectorRegistry

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
