"""One GET: bounded, to where it was told and nowhere else."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from breakwater_runtime.http import fetch
from breakwater_runtime.http.fetch import BYTES_MAX, FetchError
from tests.support.certificates import localhost_certificate


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/silent":
            threading.Event().wait(2)
            return
        self.send_response({"/moved": 302, "/gone": 410}.get(self.path, 200))
        self.send_header("location", "/elsewhere")
        self.end_headers()
        self.wfile.write(b"x" * (BYTES_MAX + 1) if self.path == "/endless" else b"content")

    def log_message(self, *args: object) -> None:
        """Write nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.block_on_close = False
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield http
    http.shutdown()
    http.server_close()
    thread.join()


async def test_what_is_there_is_had(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    assert await fetch.fetch(url(server, "/jwks"), None) == b"content"


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/moved", "answered 302; wanted 200"),
        ("/gone", "answered 410; wanted 200"),
        ("/endless", f"answered more than {BYTES_MAX} bytes"),
        ("/silent", "did not answer within 0.2 seconds"),
    ],
)
async def test_anything_else_is_a_fault(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, path: str, fault: str
) -> None:
    monkeypatch.setattr(fetch, "SECONDS_MAX", 0.2 if path == "/silent" else 30)

    with pytest.raises(FetchError, match=fault):
        await fetch.fetch(url(server, path), None)


async def test_nobody_there_is_a_fault() -> None:
    with pytest.raises(FetchError, match=r"http://127\.0\.0\.1:1/x: "):
        await fetch.fetch("http://127.0.0.1:1/x", None)


async def test_over_https_only_the_authorities_of_the_settings_are_trusted(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    certificate, key = localhost_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    address = url(server, "/jwks").replace("http://127.0.0.1", "https://localhost")

    trusted = await fetch.fetch(address, str(certificate))

    assert trusted == b"content"
    assert await fetch.fetch(address, certificate.read_text()) == b"content"
    with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
        await fetch.fetch(address, None)
    with pytest.raises(FetchError, match="No such file"):
        await fetch.fetch(address, str(tmp_path / "none.pem"))


def url(server: ThreadingHTTPServer, path: str) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"
