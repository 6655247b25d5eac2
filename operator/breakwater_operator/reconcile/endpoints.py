"""The operator's own HTTP endpoints: is it alive, is it ready, what has it done."""

from collections.abc import Callable

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
        app.router.add_get("/healthz", lambda _: _said(faults()))
        app.router.add_get("/readyz", lambda _: _said(unready()))
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)

    async def start(self, port: int) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        await self._runner.setup()
        # Kubelet and Prometheus come to the pod's address.
        await web.TCPSite(self._runner, "0.0.0.0", port).start()  # noqa: S104

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


async def _said(wrong: list[str]) -> web.Response:
    body = "\n".join(wrong or ["ok"]) + "\n"
    return web.Response(text=body, status=503 if wrong else 200)
