"""`breakwater dev` as somebody uses it: a terminal, an editor, and the SDK's own client."""

import asyncio
import os
import re
import signal
import ssl
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from breakwater_operator.cli.certificates import Authority
from tests.unit.runtime.test_process import reserved

pytestmark = pytest.mark.process

COMMAND = str(Path(sys.executable).with_name("breakwater"))
BOUND_SECONDS = 60
"""A bound, not a goal: the machine may be busy."""

MODULE = """
import asyncio, os, pathlib
from mcp.server import MCPServer

mcp = MCPServer("weather")
other = MCPServer("other")

@mcp.tool()
async def forecast(city: str) -> str:
    return f"sun in {city}"

@mcp.tool()
async def variable(name: str) -> str:
    return os.environ.get(name, "none")

@mcp.tool()
async def slow() -> str:
    folder = pathlib.Path(__file__).parent
    (folder / "began").touch()
    while not (folder / "go").exists():
        await asyncio.sleep(0.02)
    return "done"

@other.tool()
async def another() -> str:
    return "another"
"""

SERVER = """
apiVersion: breakwater.dev/v1alpha1
kind: McpServer
metadata: {name: weather}
spec:
  replicas: 3
  backends:
  - python: {server: "weather:mcp", env: [{name: CITY, value: Rome}]}
"""

WITH_KEYS = f"""{SERVER}
  access: {{keys: {{secretName: clients}}}}
---
{{apiVersion: v1, kind: Secret, metadata: {{name: clients}}, stringData: {{alice: first-key}}}}
"""


@dataclass
class Dev:
    """A running command."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    scheme: str = "http"

    def said(self) -> list[str]:
        lines = (self.folder / "log").read_text().splitlines()
        return [it.removeprefix("breakwater: ") for it in lines if it.startswith("breakwater: ")]

    def until_said(self, text: str, times: int = 1) -> None:
        end = time.monotonic() + BOUND_SECONDS
        while sum(text in line for line in self.said()) < times:
            log = (self.folder / "log").read_text()
            assert time.monotonic() < end, log
            assert self.process.poll() is None or text in log, log
            time.sleep(0.05)

    async def later(self, text: str, times: int = 1) -> None:
        await asyncio.to_thread(self.until_said, text, times)

    @property
    def key(self) -> str:
        (found,) = re.findall(r"key \(shown once\): (\S+)", "\n".join(self.said()))
        return str(found)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(BOUND_SECONDS)

    def edit(self, text: str) -> None:
        """Save as editors do: a new file in the place of the old one."""
        (self.folder / "new").write_text(text)
        (self.folder / "new").replace(self.folder / "mcpserver.yaml")

    def status(self, key: str) -> int:
        return httpx2.get(
            f"{self.scheme}://localhost:{self.port}/x", headers={"x-api-key": key}
        ).status_code


@contextmanager
def developing(
    folder: Path, manifest: str, *options: str, path: str = os.defpath, command: str = COMMAND
) -> Iterator[Dev]:
    """Run the command until the end of the block."""
    (folder / "weather.py").write_text(MODULE)
    (folder / "mcpserver.yaml").write_text(textwrap.dedent(manifest))
    with reserved() as (port, management), (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(command, "dev", "mcpserver.yaml", "--port", str(port)),
                *("--management-port", str(management), *options),
            ],
            cwd=folder,
            env={"PATH": path, "SECRET_OF_THE_TERMINAL": "x", "BREAKWATER_KEY": "y"},
            stderr=log,
        )
        dev = Dev(process, port, folder)
        try:
            yield dev
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(BOUND_SECONDS)


@asynccontextmanager
async def client(dev: Dev, key: str, verify: ssl.SSLContext | bool = True) -> AsyncIterator[Client]:
    http = httpx2.AsyncClient(headers={"x-api-key": key}, timeout=BOUND_SECONDS, verify=verify)
    url = f"{dev.scheme}://localhost:{dev.port}/mcp"
    async with http, Client(streamable_http_client(url, http_client=http)) as connected:
        yield connected


def wait_for(file: Path) -> None:
    end = time.monotonic() + BOUND_SECONDS
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


async def call(connected: Client, tool: str, **arguments: object) -> str:
    content = (await connected.call_tool(tool, arguments)).content[0]
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.requirement("K8", "C3", "A11")
async def test_a_server_runs_from_its_manifest_alone(tmp_path: Path) -> None:
    with developing(tmp_path, SERVER) as dev:
        await dev.later("key (shown once)")
        async with client(dev, dev.key) as connected:
            answers = [
                await call(connected, "forecast", city="Rome"),
                await call(connected, "variable", name="CITY"),
                await call(connected, "variable", name="SECRET_OF_THE_TERMINAL"),
            ]
        without_key = httpx2.get(f"http://localhost:{dev.port}/mcp").status_code
        await dev.later("spec.replicas has no effect here")
        code = dev.stop()

    assert answers == ["sun in Rome", "Rome", "none"]
    assert (without_key, code) == (401, 0)
    assert (tmp_path / "log").read_text().count(dev.key) == 1


@pytest.mark.requirement("A11")
async def test_a_new_key_is_taken_over_while_a_call_runs(tmp_path: Path) -> None:
    with developing(tmp_path, WITH_KEYS) as dev:
        await dev.later("health and metrics")
        async with client(dev, "first-key") as connected:
            await connected.list_tools()
            running = asyncio.create_task(call(connected, "slow"))
            await asyncio.to_thread(wait_for, tmp_path / "began")
            dev.edit(WITH_KEYS.replace("first-key", "second-key"))
            await dev.later("the change is taken over")
            (tmp_path / "go").touch()
            answer = await running
        statuses = [dev.status("first-key"), dev.status("second-key")]

    assert answer == "done"
    assert statuses == [401, 404]


async def test_another_server_starts_the_process_again(tmp_path: Path) -> None:
    with developing(tmp_path, WITH_KEYS) as dev:
        await dev.later("health and metrics")
        dev.edit(WITH_KEYS.replace("weather:mcp", "weather:other"))
        await dev.later("ready again")
        async with client(dev, "first-key") as connected:
            answer = await call(connected, "another")

    assert answer == "another"


async def test_changed_code_starts_the_process_again(tmp_path: Path) -> None:
    with developing(tmp_path, WITH_KEYS) as dev:
        await dev.later("health and metrics")
        (tmp_path / "weather.py").write_text(MODULE.replace("sun in", "rain in"))
        await dev.later("ready again")
        async with client(dev, "first-key") as connected:
            answer = await call(connected, "forecast", city="Rome")

    assert answer == "rain in Rome"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("spec: [", "is not YAML"),
        (WITH_KEYS.replace("replicas: 3", "replica: 3"), "spec.replica: is not a field here"),
        (WITH_KEYS.replace("{alice: first-key}", "7.5"), "stringData is not an object"),
        (WITH_KEYS.replace("first-key", "not a key"), "refused: "),
        (WITH_KEYS.replace("weather:mcp", "weather:none"), "it does not start so"),
    ],
    ids=["yaml", "field", "secret", "refused-by-the-runtime", "does-not-start"],
)
async def test_a_broken_edit_keeps_the_last_good_state_and_says_so(
    tmp_path: Path, broken: str, said: str
) -> None:
    with developing(tmp_path, WITH_KEYS) as dev:
        await dev.later("health and metrics")
        dev.edit(broken)
        await dev.later(said)
        await dev.later("the last good state")
        if "not start" in said:
            end = time.monotonic() + BOUND_SECONDS
            while (await answering(dev)) is None:
                assert time.monotonic() < end
        async with client(dev, "first-key") as connected:
            answer = await call(connected, "forecast", city="Rome")
        dev.edit(WITH_KEYS.replace("first-key", "second-key"))
        await dev.later("the change is taken over")
        status = dev.status("second-key")

    assert (answer, status) == ("sun in Rome", 404)


async def answering(dev: Dev) -> int | None:
    await asyncio.sleep(0.05)
    try:
        return dev.status("first-key")
    except httpx2.TransportError:
        return None


@pytest.mark.requirement("A11", "T1")
async def test_it_speaks_tls_that_the_local_authority_vouches_for(tmp_path: Path) -> None:
    ca = tmp_path / "ca"
    Authority.make(ca, datetime.now(UTC))  # noqa: TID251 - the client looks at the real clock

    with developing(tmp_path, WITH_KEYS, "--tls", "--ca", str(ca)) as dev:
        dev.scheme = "https"
        await dev.later("is served at https://localhost")
        trusting = ssl.create_default_context(cafile=ca / "ca.crt")
        async with client(dev, "first-key", trusting) as connected:
            answer = await call(connected, "forecast", city="Rome")
        with pytest.raises(httpx2.ConnectError):
            dev.status("first-key")

    assert answer == "sun in Rome"


@pytest.mark.requirement("T17")
async def test_interrupting_it_lets_calls_finish_and_leaves_nothing(tmp_path: Path) -> None:
    with developing(tmp_path, WITH_KEYS) as dev:
        await dev.later("health and metrics")
        async with client(dev, "first-key") as connected:
            await connected.list_tools()
            running = asyncio.create_task(call(connected, "slow"))
            await asyncio.to_thread(wait_for, tmp_path / "began")
            stopped = asyncio.create_task(asyncio.to_thread(dev.stop))
            await dev.later("stopping; calls that run may finish")
            (tmp_path / "go").touch()
            answer = await running
        code = await stopped

    assert (answer, code) == ("done", 0)
    with pytest.raises(httpx2.ConnectError):
        dev.status("first-key")


async def test_killing_it_takes_the_server_along(tmp_path: Path) -> None:
    with developing(tmp_path, WITH_KEYS) as dev:
        await dev.later("health and metrics")
        dev.stop(signal.SIGKILL)
        end = time.monotonic() + BOUND_SECONDS
        while await answering(dev) is not None:
            assert time.monotonic() < end


@pytest.mark.parametrize(
    ("manifest", "code", "said"),
    [
        (SERVER.replace("weather:mcp", "weather:none"), 1, None),
        (SERVER.replace("replicas", "replica"), 2, "spec.replica: is not a field here"),
    ],
)
def test_what_cannot_start_ends_with_a_code(
    tmp_path: Path, manifest: str, code: int, said: str | None
) -> None:
    with developing(tmp_path, manifest) as dev:
        found = dev.process.wait(BOUND_SECONDS)

    assert found == code
    assert said is None or any(said in line for line in dev.said())
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.requirement("T11")
async def test_where_its_time_goes_is_told_only_where_asked(tmp_path: Path) -> None:
    with developing(tmp_path, SERVER, "--profile") as dev:
        await dev.later("where its time goes")
        (line,) = [each for each in dev.said() if each.startswith("where its time goes")]
        key, url = re.findall(r"X-API-Key: (\S+)' '(\S+)'", line)[0]
        url = url.replace("seconds=5", "seconds=1")
        shown = httpx2.get(url, headers={"x-api-key": key}, timeout=BOUND_SECONDS)
        refused = httpx2.get(url, headers={"x-api-key": dev.key})

    assert (shown.status_code, refused.status_code) == (200, 401)
    assert "MainThread;" in shown.text
