"""The processes that serve the fixture: the SDK's own server, and the runtime."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port
from tests.support.python_path import python_path

ROOT = Path(__file__).parents[3]
FIXTURE = "tests.support.conformance.server:mcp"
PYTHON = {"python": {"server": FIXTURE}}
KEY = "a-key-for-the-tests-and-nothing-else"
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 30


@dataclass(frozen=True)
class Front:
    """A server that answers.

    Args:
        port: Its port for clients, on the loopback address.
        key: What it wants to see in `X-API-Key`; None where it asks for nothing.
        page_port: The port of localhost whose pages may call it; nobody listens there.
    """

    port: int
    key: str | None = None
    page_port: int = 0
    management_port: int = 0

    @property
    def url(self) -> str:
        """The MCP endpoint."""
        return f"http://localhost:{self.port}/mcp"


@contextmanager
def oracle(folder: Path, *, stateless: bool = False) -> Iterator[Front]:
    """Serve the fixture with the SDK's own transport."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "tests.support.conformance", "--port", str(port)]
    command += ["--stateless"] if stateless else []
    # It has no health endpoint; to a request that accepts nothing it says 406.
    with _running(command, folder, (f"http://127.0.0.1:{port}/mcp", 406)):
        yield Front(port)


@contextmanager
def runtime(folder: Path, backend: Mapping[str, object] = PYTHON) -> Iterator[Front]:
    """Serve the fixture with the runtime, which wants a key; by default inside its process."""
    public, management, page = free_ports(3)
    keys = folder / "keys"
    keys.mkdir()
    (keys / "tests").write_text(f"{KEY}\n")
    settings = {
        "version": 1,
        "server": {"name": "conformance"},
        "backends": [{"name": "main", **backend}],
        "listen": {"host": "127.0.0.1", "publicPort": public, "managementPort": management},
        "live": {
            "keysDirectory": "keys",
            "endpoints": ["StreamableHTTP", "SSE", "JSONRPC", "REST"],
            "access": {"origins": [f"http://localhost:{page}"]},
        },
    }
    config = folder / "config.json"
    config.write_text(json.dumps(settings))
    program = Path(sys.executable).with_name("breakwater-runtime")
    ready = (f"http://127.0.0.1:{management}/ready", 200)
    with _running([str(program), "--config", str(config)], folder, ready):
        yield Front(public, KEY, page, management)


@dataclass(frozen=True)
class Program:
    """A server that its client starts, and speaks to over its standard streams."""

    command: Sequence[str]
    environment: Mapping[str, str]

    def json(self) -> str:
        """Write it as the TypeScript SDKs take it."""
        command, *args = self.command
        return json.dumps({"command": command, "args": args, "env": dict(self.environment)})


def program(folder: Path) -> Program:
    """Have the runtime serve the fixture to the client that starts it."""
    config = folder / "config.json"
    server = {"name": "conformance"}
    backends = [{"name": "main", **PYTHON}]
    config.write_text(
        json.dumps({"version": 1, "server": server, "backends": backends, "live": {}})
    )
    runtime = str(Path(sys.executable).with_name("breakwater-runtime"))
    return Program(
        [runtime, "--config", str(config), "--transport", "stdio", "--principal", "me"],
        {"PYTHONPATH": python_path(ROOT)},
    )


@contextmanager
def _running(command: Sequence[str], folder: Path, sign: tuple[str, int]) -> Iterator[None]:
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            # The fixture is no installed package. Nothing else of our environment matters.
            env={"PYTHONPATH": python_path(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, sign, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _wait(process: subprocess.Popen[bytes], sign: tuple[str, int], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    url, status = sign
    while _status(url) != status:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not get ready:\n{log.read_text()}")
        time.sleep(0.05)


def _status(url: str) -> int | None:
    """Say how a URL is answered; None where nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return None


def free_ports(count: int) -> list[int]:
    """Find different ports that nobody listens on."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)
