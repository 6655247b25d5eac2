"""While the process drains, clients are asked to come back over another connection."""

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Draining:
    """Closes each connection after its answer, so that the next request goes to another pod."""

    def __init__(self, app: ASGIApp, *, draining: Callable[[], bool]) -> None:
        """Act once `draining` says so."""
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; mark its answer as the connection's last where it is."""

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and self._draining():
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, receive, send_last)
