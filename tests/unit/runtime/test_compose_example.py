"""The Compose example, run as a process with exactly the settings that it gives a container."""

import asyncio
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from breakwater_contract.names import MANAGEMENT_PORT, PUBLIC_PORT
from breakwater_operator.cli.certificates import Authority
from tests.support.python_path import python_path
from tests.unit.runtime.test_process import COMMAND, START_SECONDS, Running, reserved

EXAMPLES = Path(__file__).parents[3] / "examples"
MOUNTED = "/run/secrets/"
CONTENT = {"keys": "alice=alices-key billing-bot=bots-key\n", "admin-key": "admins-key\n"}

pytestmark = pytest.mark.requirement("A11")


def compose() -> dict[str, Any]:
    """Read the file as Compose does where no variable is set."""
    text = (EXAMPLES / "compose/compose.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))
    return found


def service() -> dict[str, Any]:
    (found,) = compose()["services"].values()
    return dict(found)


def test_every_secret_that_is_named_is_there() -> None:
    named = {
        value.removeprefix(MOUNTED)
        for value in service()["environment"].values()
        if value.startswith(MOUNTED)
    }

    assert named == set(service()["secrets"]) == set(compose()["secrets"])


def test_what_listens_in_the_container_is_reached_from_this_machine_alone() -> None:
    published = [port.rsplit(":", 2) for port in service()["ports"]]

    assert {host for host, _, _ in published} == {"127.0.0.1"}
    assert [int(inside) for _, _, inside in published] == [PUBLIC_PORT, MANAGEMENT_PORT]
    assert service()["environment"]["BREAKWATER_LISTEN_HOST"] == "0.0.0.0"


def test_the_container_has_no_more_rights_than_a_pod() -> None:
    found = service()

    assert (found["read_only"], found["cap_drop"]) == (True, ["ALL"])
    assert found["user"] == "65532:65532"


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    """Run what the container would, with this machine's folders in the place of its own."""
    secrets = folder / "secrets"
    secrets.mkdir()
    for name, content in CONTENT.items():
        (secrets / name).write_text(content)
    now = datetime.now(UTC)  # noqa: TID251 - clients look at the real clock
    Authority.make(folder / "ca", now).vouch(["localhost"], secrets, now)
    (mount,) = service()["volumes"]
    source, target, _ = mount.split(":")
    assert target.startswith("/srv/")
    with reserved() as ports, (folder / "log").open("w") as log:
        variables = {
            name: value.replace(MOUNTED, f"{secrets}/")
            for name, value in service()["environment"].items()
        }
        process = subprocess.Popen(
            [COMMAND],
            cwd=folder,
            env={
                **variables,
                "PATH": os.defpath,
                "PYTHONPATH": python_path((EXAMPLES / "compose" / source).parent),
                "BREAKWATER_LISTEN_HOST": "127.0.0.1",
                "BREAKWATER_LISTEN_PUBLIC_PORT": str(ports[0]),
                "BREAKWATER_LISTEN_MANAGEMENT_PORT": str(ports[1]),
            },
            stderr=log,
            text=True,
        )
        public, management = f"https://localhost:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
        try:
            runtime = Running(process, public, management, folder, folder / "log")
            runtime.wait_until_ready()
            yield runtime
        finally:
            process.kill()
            process.wait()


@pytest.mark.process
@pytest.mark.requirement("T1")
async def test_it_serves_over_https_who_has_a_key(tmp_path: Path) -> None:
    with running(tmp_path) as runtime:
        verify = ssl.create_default_context(cafile=tmp_path / "ca/ca.crt")
        http = httpx2.AsyncClient(
            headers={"x-api-key": "bots-key"}, timeout=START_SECONDS, verify=verify
        )
        async with (
            http,
            Client(streamable_http_client(f"{runtime.public}/mcp", http_client=http)) as client,
        ):
            tools = [tool.name for tool in (await client.list_tools()).tools]
        refused = httpx2.get(f"{runtime.public}/mcp", verify=verify)
        details = httpx2.get(f"{runtime.management}/health", headers={"x-api-key": "admins-key"})
        _, python, *check = service()["healthcheck"]["test"]
        here = [
            it.replace(f"http://127.0.0.1:{MANAGEMENT_PORT}", runtime.management) for it in check
        ]
        healthy = await checked(here)

    assert tools
    assert refused.status_code == 401
    assert "backends" in details.json()
    assert (python, healthy) == ("/opt/breakwater/bin/python", 0)


async def checked(arguments: list[str]) -> int:
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    return await process.wait()
