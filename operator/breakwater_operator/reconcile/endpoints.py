"""The operator's own HTTP endpoints: is it alive, is it ready, what has it done."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

STOP_SECONDS = 1.0
"""How long open connections may take when the process stops: a scrape is short."""


class Endpoints:
    """Answers kubelet and Prometheus, on a port of its own."""

    def __init__(
        self,
        faults: Callable[[], list[str]],
        unready: Callable[[], list[str]],
        registry: CollectorRegistry,
    ) -> None:
        """Listen nowhere yet.

        Args:
            faults: What a restart would mend.
            unready: What is not there yet.
            registry: The series for `/metrics`.
        """
        self._registry = registry
        app = web.Application()
        app.router.add_get("/healthz", _saying(faults))
        app.router.add_get("/readyz", _saying(unready))
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)

    async def start(self, port: int) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        await self._runner.setup()
        # Kubelet and Prometheus come to the pod's address, of IPv4 or of IPv6.
        await web.TCPSite(self._runner, None, port).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        names = request.query.getall("name[]", [])
        # As Prometheus' own clients do: who wants a few of thousands of series asks for these.
        registry = self._registry.restricted_registry(names) if names else self._registry
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})


def _saying(
    wrong: Callable[[], list[str]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def say(_: web.Request) -> web.Response:
        found = wrong()
        body = "\n".join(found or ["ok"]) + "\n"
        return web.Response(text=body, status=503 if found else 200)

    return say
