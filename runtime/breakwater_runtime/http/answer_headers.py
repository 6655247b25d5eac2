"""The headers that every answer gets, whatever it is an answer to."""

from collections.abc import Callable, Container, Iterable
from typing import Final

from breakwater_runtime.calls import Request
from breakwater_runtime.http import cors

REQUEST_ID: Final = b"x-request-id"

SECURITY = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What keeps browsers from doing anything with an answer but hand it to the caller."""

HSTS = "max-age=31536000"
"""Browsers that came by HTTPS once come by nothing else for a year."""

_SECURITY: Final = [(name.encode(), value.encode()) for name, value in SECURITY.items()]
ALWAYS: Final = [*_SECURITY, (b"strict-transport-security", HSTS.encode())]
"""What every answer has, the last only where it is secure."""

_NAMES: Final = frozenset(name for name, _ in ALWAYS)

STREAMS: Final = (b"text/event-stream", b"application/x-ndjson")
"""Types of answers that go on for as long as there is something to say."""

Headers = Iterable[tuple[bytes, bytes]]


class AnswerHeaders:
    """Completes the headers of answers, refusals included, so that pages can read them too."""

    def __init__(self, origins: Callable[[], Container[str]] = frozenset) -> None:
        """Let pages of the origins of the moment read answers."""
        self._origins = origins

    def complete(self, given: Headers, request: Request) -> list[tuple[bytes, bytes]]:
        """Add to what the endpoint said: what steps say, CORS, security, and the request's id."""
        headers = [*given, *request.told]
        says_ours = False
        for name, value in headers:
            if name == b"content-type":
                if value.startswith(STREAMS):
                    request.is_stream = True
                    if request.streams is not None:
                        request.streams(request)
            elif name in _NAMES:
                says_ours = True
        origin = request.headers.get(b"origin")
        if origin is not None:
            headers = cors.readable(headers, origin.decode("latin-1"), self._origins())
        ours = ALWAYS if request.secure else _SECURITY
        if says_ours:
            said = {name for name, _ in headers}
            headers += [each for each in ours if each[0] not in said]
        else:
            headers += ours
        headers.append((REQUEST_ID, request.id.encode()))
        return headers
