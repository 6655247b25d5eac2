"""A container registry on loopback, just large enough to be pushed to."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Registry(ThreadingHTTPServer):
    """Keeps what is pushed in memory.

    Attributes:
        blobs: contents by digest.
        manifests: manifests by `repository:tag`.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}

    @property
    def host(self) -> str:
        """The registry's part of an image's name."""
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """The requests of a push, as the OCI distribution specification has them."""

    server: Registry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/v2/" else 404)

    def do_HEAD(self) -> None:
        content = self.server.blobs.get(self.path.rpartition("/")[2])
        self._answer(404 if content is None else 200, length=len(content or b""))

    def do_POST(self) -> None:
        self._body()
        upload = f"{self.path.rstrip('/')}/{len(self.server.uploads)}"
        self.server.uploads[upload] = b""
        self._answer(202, location=upload)

    def do_PATCH(self) -> None:
        self.server.uploads[self.path] += self._body()
        self._answer(202, location=self.path)

    def do_PUT(self) -> None:
        body = self._body()
        if "/manifests/" in self.path:
            repository, _, tag = self.path.removeprefix("/v2/").partition("/manifests/")
            self.server.manifests[f"{repository}:{tag}"] = body
        else:
            upload = self.path.partition("?")[0]
            body = self.server.uploads[upload] + body
            self.server.blobs[_digest(body)] = body
        self._answer(201, location=self.path, digest=_digest(body))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Stay silent: a test says what it found by itself."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(
        self, status: int, *, length: int = 0, location: str = "", digest: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if location:
            self.send_header("Location", location)
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def registry() -> Iterator[Registry]:
    """Run a registry for as long as a test needs it."""
    server = Registry()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
