"""Headers that keep browsers from doing anything with an answer but hand it to the caller."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater_runtime.calls import Request

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

HSTS = "max-age=31536000"
"""Browsers that came by HTTPS once come by nothing else for a year."""

_RAW = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_RAW_IF_SECURE = [*_RAW, (b"strict-transport-security", HSTS.encode())]


class SecurityHeaders:
    """Adds the headers to every answer that does not say otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to its answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                said = {name for name, _ in given}
                ours = _RAW_IF_SECURE if Request.of(scope).secure else _RAW
                message["headers"] = given + [each for each in ours if each[0] not in said]
            await send(message)

        await self._app(scope, receive, send_with_headers)
