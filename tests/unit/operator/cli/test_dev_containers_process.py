"""`breakwater dev` for servers in containers: their commands run here, or an engine runs images."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from tests.support.children import alive, descendants
from tests.unit.operator.cli.test_dev_process import BOUND_SECONDS, Dev, call, client, developing
from tests.unit.runtime.test_process import reserved

pytestmark = pytest.mark.process

PATH = f"{Path(sys.executable).parent}:{os.defpath}"
KEY = "first-key"
SECRETS = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "clients"},
    "stringData": {"alice": KEY, "bob": "second-key", "token": "t0ken"},
}

SERVER = """
import json, os, sys

def result(message):
    match message["method"]:
        case "initialize":
            about = {"serverInfo": {"name": "lean", "version": "1"}, "capabilities": {"tools": {}}}
            return about | {"protocolVersion": "2025-11-25"}
        case "tools/list":
            return {"tools": [{"name": "where", "inputSchema": {"type": "object"}}]}
        case "tools/call":
            names = ("HOME", "TOKEN", "DATA", "SECRET_OF_THE_TERMINAL")
            found = {name: os.environ.get(name) for name in names}
            found |= {"process": os.getpid(), "arguments": sys.argv[1:], "says": "one"}
            return {"content": [{"type": "text", "text": json.dumps(found)}]}

for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        made = result(message)
        error = {"error": {"code": -32601, "message": "unknown"}}
        answer = {"result": made} if made is not None else error
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
"""

HTTP_SERVER = """
import sys
from mcp.server import MCPServer

mcp = MCPServer("far")

@mcp.tool()
def hello() -> str:
    return "from over there"

mcp.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
"""

ENGINE = """
#!{python}
# Stands for docker: writes down how it was called, and runs the command without any image.
import json, os, sys

with open({record!r}, "a") as record:
    print(json.dumps([sys.argv[1:], os.environ.get("TOKEN")]), file=record)
if sys.argv[1] == "run":
    os.environ["PATH"] += ":{folder}"  # where only the image has the program
    at = sys.argv.index("registry.example/lean:1")
    os.execvp(sys.argv[sys.argv.index("--entrypoint") + 1], ["command", *sys.argv[at + 1:]])
"""


def container(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "container": {"image": "registry.example/lean:1", **more}}


def stdio(**more: Any) -> dict[str, Any]:
    return container("lean", stdio=["python", "server.py"], **more)


def manifest(*backends: dict[str, Any], **spec: Any) -> str:
    server = {
        "apiVersion": "breakwater.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": "desk"},
        "spec": {"backends": backends, "access": {"keys": {"secretName": "clients"}}, **spec},
    }
    return yaml.safe_dump_all([server, SECRETS])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "far.py").write_text(HTTP_SERVER)
    return tmp_path


@pytest.fixture
def far_port() -> Iterator[int]:
    with reserved() as (port, _):
        yield port


@contextmanager
def far_server(folder: Path, port: int) -> Iterator[None]:
    listening = [sys.executable, str(folder / "far.py"), str(port)]
    with subprocess.Popen(listening, stderr=subprocess.DEVNULL) as far:
        try:
            yield
        finally:
            far.terminate()


async def where(dev: Dev, key: str = KEY, tool: str = "where") -> dict[str, Any]:
    async with client(dev, key) as connected:
        found: dict[str, Any] = json.loads(await call(connected, tool))
        return found


def running(dev: Dev, program: str) -> int:
    (found,) = [
        pid
        for pid in descendants(dev.process.pid)
        if program.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:2]
    ]
    return found


def until_served_again(dev: Dev) -> None:
    end = time.monotonic() + BOUND_SECONDS
    while True:
        said = dev.said()
        since = said[said.index("starting again with the change") :]
        if any("is served at" in line or line == "ready again" for line in since):
            return
        assert time.monotonic() < end, said
        time.sleep(0.05)


async def answered(connected: Client, tool: str) -> str:
    """Call a tool of a server that is being started; it is refused until it is there."""
    end = time.monotonic() + BOUND_SECONDS
    while True:
        try:
            return await call(connected, tool)
        except MCPError:
            assert time.monotonic() < end
            await asyncio.sleep(0.05)


def until_dead(pids: list[int]) -> None:
    end = time.monotonic() + BOUND_SECONDS
    while any(map(alive, pids)):
        assert time.monotonic() < end, pids
        time.sleep(0.05)


@pytest.mark.requirement("K8", "A5")
async def test_a_command_is_a_child_of_the_helper_as_in_a_pod(folder: Path) -> None:
    token = {"secretKeyRef": {"name": "clients", "key": "token"}}
    env = [{"name": "TOKEN", "valueFrom": token}, {"name": "DATA", "value": "/data/notes"}]
    backend = stdio(env=env, writable=["/data"], resources={"limits": {"memory": "1Gi"}}, user=7)

    with developing(folder, manifest(backend), path=PATH) as dev:
        await dev.later("has no effect here")
        alices, again, bobs = await where(dev), await where(dev), await where(dev, "second-key")
        processes = descendants(dev.process.pid)
        code = dev.stop()

    assert alices["process"] == again["process"] != bobs["process"]
    assert (alices["TOKEN"], alices["SECRET_OF_THE_TERMINAL"]) == ("t0ken", None)
    assert alices["HOME"] != bobs["HOME"]
    assert alices["DATA"].endswith("/data/notes")
    assert alices["DATA"] != "/data/notes"
    said = "\n".join(dev.said())
    where_it_is = alices["DATA"].removesuffix("/notes")
    assert f"backend lean: /data is {where_it_is} here" in said
    assert "container.user has no effect here" in said
    assert "container.resources.limits.memory has no effect here" in said
    assert "t0ken" not in (folder / "log").read_text()
    assert code == 0
    until_dead(processes)


@pytest.mark.requirement("G1")
async def test_several_backends_are_one_server_here_too(folder: Path, far_port: int) -> None:
    with reserved() as (port, _), far_server(folder, far_port):
        remote = {
            "url": f"http://127.0.0.1:{far_port}/mcp",
            "insecurePlainHttp": True,
            "addresses": ["127.0.0.1"],
            "credential": {"secretKeyRef": {"name": "clients", "key": "token"}},
        }
        http = container("near", port=port, command=["python", "far.py", str(port)])
        backends = [stdio(), http, {"name": "far", "remote": remote}]
        with developing(folder, manifest(*backends), path=PATH) as dev:
            await dev.later("health and metrics")
            tools = {"lean_where", "near_hello", "far_hello"}
            async with client(dev, KEY) as connected:
                end = time.monotonic() + BOUND_SECONDS
                listed: set[str] = set()
                while not tools <= listed:
                    listed = {it.name for it in (await connected.list_tools()).tools}
                    assert time.monotonic() < end, listed
                answers = [await call(connected, f"{name}_hello") for name in ("near", "far")]
            processes = descendants(dev.process.pid)

    assert answers == ["from over there", "from over there"]
    assert "list_servers" in listed
    until_dead(processes)


async def test_a_changed_file_of_a_command_starts_it_again(folder: Path) -> None:
    with developing(folder, manifest(stdio()), path=PATH) as dev:
        await dev.later("health and metrics")
        before = await where(dev)
        (folder / "server.py").write_text(SERVER.replace('"one"', '"two"'))
        await dev.later("ready again")
        after = await where(dev)

    assert (before["says"], after["says"]) == ("one", "two")


async def test_a_command_that_ends_is_told_and_can_be_corrected(folder: Path) -> None:
    (folder / "server.py").write_text("raise SystemExit('no license')")

    with developing(folder, manifest(stdio()), path=PATH) as dev:
        await dev.later("no license")
        (folder / "server.py").write_text(SERVER)
        # Its next try may find what is right before we do: then it is served twice.
        await dev.later("starting again with the change")
        await asyncio.to_thread(until_served_again, dev)
        found = await where(dev)

    assert found["says"] == "one"
    (line,) = [each for each in dev.said() if "no license" in each]
    assert line.startswith("backend lean: it could not be started: it ended with exit code 1")


async def test_killing_it_takes_commands_along(folder: Path, far_port: int) -> None:
    http = container("near", port=far_port, command=["python", "far.py", str(far_port)])
    with developing(folder, manifest(stdio(), http), path=PATH) as dev:
        await dev.later("health and metrics")
        processes = descendants(dev.process.pid)
        dev.stop(signal.SIGKILL)
        until_dead(processes)

    assert len(processes) >= 4


async def test_a_server_over_http_that_ends_is_started_again(folder: Path, far_port: int) -> None:
    backend = container("near", port=far_port, command=["python", "far.py", str(far_port)])
    with developing(folder, manifest(backend), path=PATH) as dev:
        await dev.later("is served at")
        killed = running(dev, "far.py")
        os.kill(killed, signal.SIGKILL)
        until_dead([killed])
        async with client(dev, KEY) as connected:
            answer = await answered(connected, "hello")
        replacement = running(dev, "far.py")

    assert answer == "from over there"
    assert replacement != killed


@pytest.mark.parametrize(
    ("words", "options"),
    [
        pytest.param(["lean-server", "--quick"], [], id="no-such-program-here"),
        pytest.param(["python", "server.py"], ["--images"], id="asked-for"),
    ],
)
async def test_an_image_is_run_by_docker_where_its_command_is_not_here(
    folder: Path, words: list[str], options: list[str]
) -> None:
    programs = folder / "programs"
    programs.mkdir()
    record = folder / "record"
    engine = programs / "docker"
    engine.write_text(
        textwrap.dedent(ENGINE)
        .lstrip()
        .format(python=sys.executable, record=str(record), folder=folder)
    )
    (folder / "lean-server").write_text(f"#!{sys.executable}\n{SERVER}")
    for file in (engine, folder / "lean-server"):
        file.chmod(0o755)
    env = [{"name": "TOKEN", "value": "t0ken"}]
    backend = stdio(env=env, resources={"limits": {"memory": "1Gi"}}, writable=["/data"])
    backend["container"]["stdio"] = words
    # What only the engine finds, as if it were in the image.
    engine.write_text(
        engine.read_text().replace("if sys", f"os.environ['PATH'] += ':{folder}'\nif sys", 1)
    )

    with developing(folder, manifest(backend), *options, path=f"{programs}:{PATH}") as dev:
        await dev.later("is served at")
        found = await where(dev)
        dev.stop()

    assert found["arguments"] == words[2 if words[0] == "python" else 1 :]
    assert found["TOKEN"] == "t0ken"
    asked, *calls = [json.loads(line) for line in record.read_text().splitlines()]
    assert asked[0] == ["info"]
    command = " ".join(calls[0][0])
    assert calls[0][0][0] == "run"
    assert f"--entrypoint {words[0]} registry.example/lean:1 {' '.join(words[1:])}" in command
    for wanted in ("--rm", "--interactive", "--read-only", "--cap-drop ALL", "--env TOKEN"):
        assert wanted in command
    assert "--memory 1073741824" in command
    assert "--tmpfs /data:mode=1777" in command
    assert "t0ken" not in command
    assert calls[-1][0][:2] == ["ps", "--all"]
    assert f"{engine} runs registry.example/lean:1" in "\n".join(dev.said())


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        pytest.param(
            container("lean", stdio=["lean-server"]),
            "spec.backends[lean].container: lean-server is no program of this machine, and "
            "of docker and podman none is here to run registry.example/lean:1",
            id="no-program",
        ),
        pytest.param(
            container("lean", port=8000, args=["--quick"]),
            "spec.backends[lean].container: it has no command that could run here",
            id="no-command",
        ),
    ],
)
def test_what_neither_the_machine_nor_an_engine_can_run_is_refused(
    folder: Path, backend: dict[str, Any], said: str
) -> None:
    empty = folder / "empty"
    empty.mkdir()
    with developing(folder, manifest(backend), path=str(empty)) as dev:
        code = dev.process.wait(BOUND_SECONDS)

    assert code == 2
    assert any(said in line for line in dev.said())
    assert "Traceback" not in (folder / "log").read_text()
