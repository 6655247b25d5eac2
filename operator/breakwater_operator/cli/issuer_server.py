"""The development issuer's HTTP, on loopback."""

import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from breakwater_operator.api.errors import BreakwaterError
from breakwater_operator.cli.issuer import GrantError, Issuer

HOST = "127.0.0.1"
BODY_BYTES_MAX = 64 * 1024
SECONDS_MAX = 10.0

METADATA_PATHS = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
)


class PortTakenError(BreakwaterError):
    """Somebody else listens there."""


def listen(port: int, audience: str, now: Callable[[], float]) -> ThreadingHTTPServer:
    """Open the port; `serve_forever` of what is returned answers.

    Raises:
        PortTakenError: It cannot be opened.
    """
    try:
        server = ThreadingHTTPServer((HOST, port), _Handler)
    except OSError as error:
        raise PortTakenError(
            f"{HOST} port {port}: {error.strerror}; choose another with --port"
        ) from error
    server.daemon_threads = True
    _Handler.issuer = Issuer(f"http://{HOST}:{server.server_address[1]}", audience, now)
    return server


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    issuer: Issuer
    timeout = SECONDS_MAX

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if not self._is_for_us():
            self._reply(421, {"error": "misdirected"})
        elif parts.path in METADATA_PATHS:
            self._reply(200, self.issuer.metadata())
        elif parts.path == "/jwks":
            self._reply(200, self.issuer.jwks())
        elif parts.path == "/authorize":
            self._granted(lambda: self.issuer.authorize(dict(parse_qsl(parts.query))))
        else:
            self._reply(404, {"error": "not_found"})

    def do_POST(self) -> None:
        if not self._is_for_us():
            self._reply(421, {"error": "misdirected"})
            return
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self._reply(413, {"error": "invalid_request"})
            return
        body = self.rfile.read(int(length)).decode(errors="replace")
        if self.path == "/token":
            self._granted(lambda: self.issuer.token(dict(parse_qsl(body))))
        elif self.path == "/register":
            self._granted(lambda: self.issuer.register(_object(body)), status=201)
        else:
            self._reply(404, {"error": "not_found"})

    def _is_for_us(self) -> bool:
        """Whether no page of a browser got here by another name for this machine."""
        here = urlsplit(self.issuer.url).netloc
        own = {here, here.replace(HOST, "localhost")}
        return self.headers.get("host") in own and not self.headers.get("origin")

    def _granted(self, grant: Callable[[], Any], status: int = 200) -> None:
        try:
            answer = grant()
        except GrantError as error:
            self._reply(400, {"error": error.code, "error_description": str(error)})
            return
        if isinstance(answer, str):
            self.send_response(302)
            self.send_header("location", answer)
            self.send_header("content-length", "0")
            self.end_headers()
        else:
            self._reply(status, answer)

    def _reply(self, status: int, content: Mapping[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("cache-control", "no-store")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write nothing: the paths of requests contain codes."""


def _object(body: str) -> Mapping[str, Any]:
    """Read a JSON object.

    Raises:
        GrantError: It is something else.
    """
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise GrantError("invalid_client_metadata", "the body is not a JSON object")
    return found
