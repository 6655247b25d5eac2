"""Asking a cluster's API server, with what a kubeconfig of ours holds and nothing else."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import urllib.parse
from typing import TYPE_CHECKING, Any, Self

from dev.cluster.provider import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

_JSON = "application/json"


class ApiError(ClusterError):
    """The API server answered, but not what was wanted."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class UnreachableError(ClusterError):
    """The API server did not answer."""


class Api:
    """Speaks to one API server over one connection, one request at a time.

    Args:
        kubeconfig: a file with one cluster and one user, certificates inline, as JSON.
    """

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        address = urllib.parse.urlsplit(cluster["server"])
        self._host, self._port = address.hostname or "", address.port or 443
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        # ssl takes a client's certificate from a file only.
        with tempfile.NamedTemporaryFile(suffix=".pem") as pair:
            for part in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[part]))
            pair.flush()
            context.load_cert_chain(pair.name)
        self._connection = http.client.HTTPSConnection(
            self._host, self._port, context=context, timeout=10
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> Any:
        """Read an object, or a text such as /readyz's."""
        return self.request("GET", path)

    def find(self, path: str) -> Any:
        """Read an object; None where there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise

    def apply(self, path: str, body: dict[str, Any]) -> None:
        """Make an object look like this, whatever it looks like now (server-side apply)."""
        query = "?fieldManager=breakwater-dev-cluster&force=true"
        self.request("PATCH", path + query, body, "application/apply-patch+yaml")

    def create(self, path: str, body: dict[str, Any]) -> None:
        """Make an object, unless one of its name is there."""
        try:
            self.request("POST", path, body)
        except ApiError as error:
            if error.status != http.client.CONFLICT:
                raise

    def delete(self, path: str) -> None:
        """Remove an object, if it is there."""
        try:
            self.request("DELETE", path)
        except ApiError as error:
            if error.status != http.client.NOT_FOUND:
                raise

    def request(self, method: str, path: str, body: Any = None, content_type: str = _JSON) -> Any:
        """Send one request.

        Raises:
            UnreachableError: nobody answers, or not to the end.
            ApiError: the answer is no.
        """
        headers = {"Content-Type": content_type, "Accept": "application/json, */*"}
        payload = None if body is None else json.dumps(body)
        status, kind, text = self._exchange(method, path, payload, headers)
        if status >= http.client.BAD_REQUEST:
            raise ApiError(status, f"{method} {path}: {status} {text[:500]}")
        return json.loads(text) if kind == _JSON else text

    def _exchange(
        self, method: str, path: str, payload: str | None, headers: dict[str, str]
    ) -> tuple[int, str, str]:
        try:
            self._connection.request(method, path, body=payload, headers=headers)
            answer = self._connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            # The next request connects anew.
            self._connection.close()
            raise UnreachableError(f"{self._host}:{self._port} does not answer: {error}") from error
        return answer.status, answer.headers.get_content_type(), text
