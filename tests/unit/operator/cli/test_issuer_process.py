"""A client of the SDK goes the whole OAuth way: our issuer, our runtime, nothing in between."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from tests.unit.operator.cli.test_dev_process import (
    BOUND_SECONDS,
    COMMAND,
    SERVER,
    Dev,
    call,
    developing,
)
from tests.unit.runtime.test_process import reserved

pytestmark = [pytest.mark.process, pytest.mark.requirement("K9", "K1")]

REDIRECT = "http://localhost:3000/callback"


class Kept:
    """Keeps what the client was given."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Browser:
    """Follows the way that a person's browser would go."""

    async def open(self, url: str) -> None:
        async with httpx2.AsyncClient() as http:
            response = await http.get(f"{url}&login_hint=alice")
        assert response.status_code == 302
        self.came_back = parse_qs(urlsplit(response.headers["location"]).query)

    async def result(self) -> AuthorizationCodeResult:
        found = self.came_back
        return AuthorizationCodeResult(
            code=found["code"][0], state=found["state"][0], iss=found["iss"][0]
        )


@contextmanager
def issuing() -> Iterator[str]:
    with reserved() as (port, _):
        process = subprocess.Popen(
            [COMMAND, "dev", "issuer", "--port", str(port)], stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stderr is not None
            assert "the issuer is" in process.stderr.readline()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(BOUND_SECONDS)
            assert process.stderr is not None
            process.stderr.close()


@contextmanager
def guarded(folder: Path, issuer: str) -> Iterator[Dev]:
    """Run a server whose callers bring tokens of an issuer."""
    manifest = f"{SERVER}  access:\n    jwt: {{issuer: '{issuer}', audiences: [AUDIENCE]}}\n"
    with developing(folder, manifest) as dev:
        dev.until_said("key (shown once)")
        url = f"http://localhost:{dev.port}/mcp"
        rest = manifest.replace("AUDIENCE", url) + f"    publicUrl: {url}\n"
        dev.edit(rest)
        dev.until_said("the change is taken over")
        yield dev


async def test_a_client_finds_the_issuer_and_gets_in(tmp_path: Path) -> None:
    with issuing() as issuer, guarded(tmp_path, issuer) as dev:
        url, browser, kept = f"http://localhost:{dev.port}/mcp", Browser(), Kept()
        auth = OAuthClientProvider(
            server_url=url,
            client_metadata=OAuthClientMetadata(redirect_uris=[AnyUrl(REDIRECT)], client_name="t"),
            storage=kept,
            redirect_handler=browser.open,
            callback_handler=browser.result,
        )
        http = httpx2.AsyncClient(auth=auth, timeout=BOUND_SECONDS)
        async with http, Client(streamable_http_client(url, http_client=http)) as client:
            answer = await call(client, "forecast", city="Rome")

    assert answer == "sun in Rome"
    assert kept.tokens is not None


async def test_a_token_for_somebody_else_does_not_get_in(tmp_path: Path) -> None:
    with issuing() as issuer, guarded(tmp_path, issuer) as dev:
        url = f"http://localhost:{dev.port}/mcp"
        good, bad = (
            httpx2.post(f"{issuer}/token", data={"client_id": "bob", "resource": resource})
            for resource in (url, "http://127.0.0.1:1/mcp")
        )
        statuses = [
            answered(dev, response.json()["access_token"], unless=503) for response in (good, bad)
        ]

    assert statuses == [404, 401]


def answered(dev: Dev, token: str, *, unless: int) -> int:
    """Ask until the runtime has the issuer's keys."""
    end = time.monotonic() + BOUND_SECONDS
    while True:
        status = httpx2.get(
            f"http://localhost:{dev.port}/x", headers={"authorization": f"Bearer {token}"}
        ).status_code
        if status != unless:
            return status
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_port_that_is_taken_is_told() -> None:
    with issuing() as issuer:
        result = subprocess.run(
            [sys.executable, COMMAND, "dev", "issuer", "--port", issuer.rpartition(":")[2]],
            capture_output=True,
            text=True,
            timeout=BOUND_SECONDS,
            check=False,
        )

    assert result.returncode == 2
    assert "choose another with --port" in result.stderr
    assert "Traceback" not in result.stderr
