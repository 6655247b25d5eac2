"""The command itself, as a process on loopback, asked by the SDK's own client."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tests.support.python_path import python_path
from tests.unit.runtime.fakes import ALICE

pytestmark = pytest.mark.process

COMMAND = str(Path(sys.executable).with_name("breakwater-runtime"))
START_SECONDS = 30
"""A bound, not a goal: the machine may be busy."""

MODULE = """
import asyncio, logging, os, pathlib, threading
from contextlib import asynccontextmanager, contextmanager
from mcp.server import MCPServer

@asynccontextmanager
async def lifespan(server):
    yield {}
    pathlib.Path(__file__).with_name("closed").touch()

mcp = MCPServer("weather", lifespan=lifespan)

@mcp.tool()
async def forecast(city: str) -> str:
    logging.getLogger("weather").info("asked")
    return f"sun in {city}"

@mcp.tool()
async def variable(name: str) -> str:
    return os.environ.get(name, "")

@mcp.tool()
async def slow(name: str) -> str:
    pathlib.Path(__file__).with_name(name).touch()
    await asyncio.sleep(1)
    return f"{name} done"

@mcp.tool()
def stuck() -> str:
    pathlib.Path(__file__).with_name("stuck").touch()
    threading.Event().wait()
    return "never"
"""

LAUNCHER = """
import sys
from breakwater_runtime.main import run
sys.exit(run(["--config", sys.argv[1]], open_seconds=0.3, drain_seconds=int(sys.argv[2])))
"""


@dataclass
class Running:
    """A runtime process and where it listens."""

    process: subprocess.Popen[str]
    public: str
    management: str
    folder: Path
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(START_SECONDS):
            while not condition():
                assert self.process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.02)

    async def until_log(self, text: str, times: int = 1) -> None:
        await self.until(lambda: self.log.read_text().count(f'"{text}"') >= times)

    async def ready(self) -> None:
        await asyncio.to_thread(self.wait_until_ready)

    def wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not self._answers_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def _answers_ready(self) -> bool:
        try:
            return httpx2.get(f"{self.management}/ready").status_code == 200
        except httpx2.TransportError:
            return False

    async def metrics(self) -> dict[str, float]:
        async with httpx2.AsyncClient() as http:
            families = (await http.get(f"{self.management}/metrics.json")).json()["metrics"]
        return {
            sample["name"]: sample["value"]
            for family in families
            for sample in family["samples"]
            if sample["value"]
        }

    async def stopped(self) -> int:
        return await asyncio.to_thread(self.process.wait, START_SECONDS)


HOSTILE = {
    "PORT": "1",
    "HOST": "203.0.113.1",
    "UVICORN_PORT": "1",
    "WEB_CONCURRENCY": "many",
    "FORWARDED_ALLOW_IPS": "*",
    "MCP_PORT": "1",
    "FASTMCP_PORT": "1",
    "HTTP_API_KEY": "key-from-the-environment",
    "OTEL_PROPAGATORS": "nonsense",
    "OTEL_PYTHON_CONTEXT": "nonsense",
    "OTEL_SDK_DISABLED": "true",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "none",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://203.0.113.1:4318",
    "HTTP_PROXY": "http://203.0.113.1:3128",
    "PROMETHEUS_MULTIPROC_DIR": "/nonexistent",
}
"""What would change or stop the process if it listened to the environment."""


@contextmanager
def reserved() -> Iterator[tuple[int, int]]:
    """Reserve two ports: bound and not listening, so that the runtime and nobody else gets them."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        yield first.getsockname()[1], second.getsockname()[1]


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    with reserved() as ports:
        yield ports


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=START_SECONDS) as client:
        yield client


def settings(ports: tuple[int, int]) -> dict[str, Any]:
    return {
        "server": {"name": "weather"},
        "backends": [{"python": {"server": "weather:mcp"}}],
        "listen": {"publicPort": ports[0], "managementPort": ports[1]},
        "live": {"keysDirectory": "keys"},
    }


def prepare(folder: Path, content: dict[str, Any]) -> Path:
    """Write a server, a key and the settings; return the settings file."""
    (folder / "weather.py").write_text(MODULE)
    (folder / "keys").mkdir()
    (folder / "keys/alice").write_text(ALICE)
    (folder / "config.json").write_text(json.dumps(content))
    return folder / "config.json"


def environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.defpath, "PYTHONPATH": python_path(folder), **HOSTILE}


@contextmanager
def running(
    config: Path, ports: tuple[int, int], *, drain_seconds: int = 10, first: str = ""
) -> Iterator[Running]:
    """Run the runtime until the end of the block, whatever state it is in then.

    Args:
        config: Its settings file.
        ports: Those that are in it.
        drain_seconds: How long it may drain.
        first: Python that it runs before.
    """
    folder = config.parent
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", first + LAUNCHER, str(config), str(drain_seconds)],
            env=environment(folder),
            stderr=log,
            text=True,
        )
    public, management = (f"http://127.0.0.1:{port}" for port in ports)
    try:
        yield Running(process, public, management, folder, folder / "log")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run one process for the tests that leave it as it is."""
    with reserved() as ports:
        config = prepare(tmp_path_factory.mktemp("shared"), settings(ports))
        with running(config, ports) as runtime:
            runtime.wait_until_ready()
            yield runtime


@asynccontextmanager
async def client(runtime: Running, mode: str = "auto") -> AsyncIterator[Client]:
    """Connect with the SDK's client and alice's key."""
    http = httpx2.AsyncClient(headers={"x-api-key": ALICE}, timeout=START_SECONDS)
    transport = streamable_http_client(f"{runtime.public}/mcp", http_client=http)
    async with http, Client(transport, mode=mode) as connected:
        yield connected


async def call(connected: Client, tool: str, **arguments: object) -> str:
    content = (await connected.call_tool(tool, arguments)).content[0]
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize(
    ("mode", "version"),
    [("auto", "2026-07-28"), ("2026-07-28", "2026-07-28"), ("legacy", "2025-11-25")],
)
async def test_the_sdk_client_is_served_in_both_eras(
    shared: Running, mode: str, version: str
) -> None:
    async with client(shared, mode) as connected:
        tools = [tool.name for tool in (await connected.list_tools()).tools]
        answer = await call(connected, "forecast", city="Rome")

        assert connected.protocol_version == version
    assert tools == ["forecast", "variable", "slow", "stuck"]
    assert answer == "sun in Rome"


async def test_no_setting_comes_from_the_environment(
    shared: Running, http: httpx2.AsyncClient
) -> None:
    key = {"x-api-key": HOSTILE["HTTP_API_KEY"]}

    response = await http.post(f"{shared.public}/mcp", headers=key)

    assert response.status_code == 401
    assert (await shared.metrics())["mcp_live_reloads_total"] == 1


async def test_the_python_backend_has_its_environment(shared: Running) -> None:
    async with client(shared) as connected:
        assert await call(connected, "variable", name="OTEL_PROPAGATORS") == "nonsense"


@pytest.mark.requirement("A7", "T8")
async def test_the_request_id_is_in_the_log_lines_of_tools_and_keys_are_not(
    shared: Running, http: httpx2.AsyncClient
) -> None:
    response = await http.post(
        f"{shared.public}/mcp",
        headers=modern("tools/call", "forecast") | {"x-request-id": "order-66"},
        json=message("tools/call", name="forecast", arguments={"city": "Rome"}),
    )

    assert response.headers["x-request-id"] == "order-66"
    (line,) = [line for line in shared.lines() if line.get("correlationId") == "order-66"]
    assert (line["message"], line["context"]["principal"]) == ("asked", "alice")
    assert line["service"] == "weather"
    assert ALICE not in shared.log.read_text()


async def test_white_space_around_a_header_is_not_part_of_it(shared: Running) -> None:
    body = json.dumps(message("tools/call", name="forecast", arguments={"city": "Rome"}))
    headers = modern("tools/call", "forecast \t")
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    host, port = shared.public.removeprefix("http://").split(":")

    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /mcp HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n{head}\r\n{body}".encode()
    )
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 200")


async def test_an_unknown_method_is_a_json_rpc_error(
    shared: Running, http: httpx2.AsyncClient
) -> None:
    body, headers = message("made/up"), modern("made/up")

    response = await http.post(f"{shared.public}/mcp", json=body, headers=headers)

    assert response.status_code == 404
    assert response.json()["error"]["code"] == -32601


async def test_a_version_nobody_knows_is_told_the_known_ones(
    shared: Running, http: httpx2.AsyncClient
) -> None:
    body = json.dumps(message("tools/list")).replace("2026-07-28", "2031-01-01")
    headers = modern("tools/list") | {"mcp-protocol-version": "2031-01-01"}

    response = await http.post(f"{shared.public}/mcp", content=body, headers=headers)

    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32022
    assert "2026-07-28" in response.json()["error"]["data"]["supported"]


@pytest.mark.requirement("A2")
async def test_keys_come_and_go_without_a_restart(
    tmp_path: Path, ports: tuple[int, int], http: httpx2.AsyncClient
) -> None:
    content = settings(ports)
    live, content["liveFile"] = content.pop("live"), "live.json"
    config = prepare(tmp_path, content)
    (tmp_path / "live.json").write_text(json.dumps(live))
    (tmp_path / "keys/alice").unlink()

    with running(config, ports) as runtime:
        await runtime.until_log("serving")
        without_keys = await http.get(f"{runtime.management}/ready")
        (tmp_path / "keys/alice").write_text(ALICE)
        await runtime.ready()
        with_key = await http.get(f"{runtime.public}/x", headers={"x-api-key": ALICE})
        (tmp_path / "keys/alice").write_text("another-key")
        await runtime.until_log("live settings loaded", times=3)
        with_old_key = await http.get(f"{runtime.public}/x", headers={"x-api-key": ALICE})

    assert [without_keys.status_code, with_key.status_code, with_old_key.status_code] == [
        503,
        404,
        401,
    ]


@pytest.mark.requirement("T17")
async def test_sigterm_lets_calls_finish_and_waits_for_no_tool_that_is_stuck(
    tmp_path: Path, ports: tuple[int, int], http: httpx2.AsyncClient
) -> None:
    config = prepare(tmp_path, settings(ports))

    with running(config, ports, drain_seconds=2) as runtime:
        await runtime.ready()
        calls = [asyncio.create_task(slow_call(runtime, mode)) for mode in ("auto", "legacy")]
        listening = asyncio.create_task(listen(runtime, http))
        stuck = asyncio.create_task(stuck_call(runtime, http))
        for name in ("auto", "legacy", "listening", "stuck"):
            await runtime.until((tmp_path / name).exists)

        runtime.process.send_signal(signal.SIGTERM)
        await runtime.until_log("draining")
        meanwhile = await http.get(f"{runtime.public}/x", headers={"x-api-key": ALICE})
        ready = await http.get(f"{runtime.management}/ready")
        code = await runtime.stopped()

    assert code == 0
    assert (meanwhile.headers["connection"], ready.status_code) == ("close", 503)
    assert [await each for each in calls] == ["auto done", "legacy done"]
    first, *_, last = await listening
    assert "subscriptions/acknowledged" in first
    assert '"result"' in last
    assert await stuck == 503
    assert (tmp_path / "closed").exists()


async def stuck_call(runtime: Running, http: httpx2.AsyncClient) -> int:
    body = message("tools/call", name="stuck", arguments={})
    headers = modern("tools/call", "stuck")
    return (await http.post(f"{runtime.public}/mcp", json=body, headers=headers)).status_code


async def slow_call(runtime: Running, mode: str) -> str:
    async with client(runtime, mode) as connected:
        await connected.list_tools()  # else the client asks for them after the call
        return await call(connected, "slow", name=mode)


async def listen(runtime: Running, http: httpx2.AsyncClient) -> list[str]:
    """Open `subscriptions/listen`; return its frames once it has ended."""
    frames = []
    async with http.stream(
        "POST",
        f"{runtime.public}/mcp",
        json=message("subscriptions/listen", notifications={"toolsListChanged": True}),
        headers=modern("subscriptions/listen"),
    ) as response:
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                frames.append(line)
                (runtime.folder / "listening").touch()
    return frames


def modern(method: str, name: str | None = None) -> dict[str, str]:
    headers = {
        "x-api-key": ALICE,
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
    }
    return headers if name is None else headers | {"mcp-name": name}


def message(method: str, **params: object) -> dict[str, object]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **params}}


def refused(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


@pytest.mark.requirement("W5")
def test_bad_settings_stop_the_start_with_every_fault(
    tmp_path: Path, ports: tuple[int, int]
) -> None:
    content = settings(ports) | {"lsten": {}, "revision": 7}
    config = prepare(tmp_path, content)

    result = refused(tmp_path, "--config", str(config))

    assert result.returncode == 2
    first, *faults = result.stderr.splitlines()
    assert first == f"breakwater-runtime: cannot start with {config}:"
    assert "  config.json: revision: found 7; input should be a valid string" in faults
    assert any("lsten: unknown field; did you mean listen?" in fault for fault in faults)
    assert len(faults) == 2


@pytest.mark.requirement("A2", "W5")
def test_without_any_key_it_does_not_start(tmp_path: Path, ports: tuple[int, int]) -> None:
    config = prepare(tmp_path, settings(ports))
    (tmp_path / "keys/alice").write_text("# none yet\n")

    result = refused(tmp_path, "--config", str(config))

    assert result.returncode == 2
    assert "config.json: live.keysDirectory: there is no key yet" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_backend_that_cannot_start_is_named(tmp_path: Path, ports: tuple[int, int]) -> None:
    config = prepare(tmp_path, settings(ports))
    (tmp_path / "weather.py").write_text(
        MODULE.replace("yield {}", "raise OSError('no database')\n    yield {}")
    )

    result = refused(tmp_path, "--config", str(config))

    assert result.returncode == 1
    assert "backends[main]: its lifespan failed: OSError: no database" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--help"], 0, "--config FILE"),
        (["--version"], 0, "0.1.0"),
        ([], 2, "the environment:\n  BREAKWATER_BACKEND_* (one), or BREAKWATER_BACKENDS: required"),
        (["--config", "/nonexistent/c.json"], 2, "/nonexistent/c.json: cannot be read"),
    ],
)
def test_the_command_line_explains_itself(
    tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    result = refused(tmp_path, *arguments)

    assert result.returncode == code
    assert says in result.stdout + result.stderr
