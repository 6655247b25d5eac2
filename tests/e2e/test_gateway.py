"""Two images behind one endpoint, on a real node: a command, and a server that listens."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from tests.support import clients
from tests.support.cluster import eventually
from tests.support.installation import READY_SECONDS, Installation, manifests, wait_for_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = {"list_servers", "get_server_tools", "execute_tool"}
TOOLS = OWN | {"notes_keep", "notes_read", "notes_whereabouts", "board_keep", "board_read"}

UNLESS_BROKEN = (
    "import os, runpy, sys; os.path.exists('/tmp/broken') and sys.exit('broken on purpose'); "
    "sys.argv[:] = ['notes']; runpy.run_module('notes.main', run_name='__main__')"
)
"""The server of the example, which ends at once where a file says so."""

BREAK = """
import os, pathlib, signal
pathlib.Path("/tmp/broken").touch()
for each in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if int(each.name) != os.getpid() and b"run_module" in (each / "cmdline").read_bytes():
            os.kill(int(each.name), signal.SIGKILL)
    except OSError:
        pass  # it has ended with another one
"""
MEND = "import os; os.remove('/tmp/broken')"


@pytest.fixture(scope="module")
def team(installation: Installation) -> Iterator[str]:
    """Give a namespace that lets in only hardened pods."""
    with installation.team("desks") as name:
        yield name


def example(installation: Installation, name: str) -> dict[str, Any]:
    """Take the example, with the image that was built."""
    (manifest,) = manifests("examples/gateway.yaml")
    manifest["metadata"]["name"] = name
    for backend in manifest["spec"]["backends"]:
        backend["container"]["image"] = installation.images["notes-server"]["ref"]
    return manifest


@pytest.fixture(scope="module")
def desk(installation: Installation, team: str) -> str:
    """Apply the example; its name is given.

    It is Ready once a backend of its pod answers; the tests want both, and a child of their own.
    """
    manifest = example(installation, "desk")
    manifest["spec"]["replicas"] = 1
    installation.apply(team, manifest)
    installation.wait_ready(team, "desk")
    _wait_well(installation, team, "desk")
    asyncio.run(_first(installation, team, "desk"))
    return "desk"


async def _first(installation: Installation, team: str, name: str) -> None:
    """Call once in each era, so that the caller has its children, however long that takes."""
    for mode in ("auto", "legacy"):
        async with installation.client(team, name, mode) as client:
            await _said(client, "notes_keep", text="first")


async def _said(client: Any, tool: str, /, **arguments: Any) -> Any:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error
    return json.loads(answer.content[0].text)


@pytest.mark.requirement("G1", "C2")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_python_sdk_reaches_both_servers(
    installation: Installation, team: str, desk: str, mode: str
) -> None:
    async with installation.client(team, desk, mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        kept = [await _said(client, f"{name}_keep", text=mode) for name in ("notes", "board")]
        servers = (await _said(client, "list_servers"))["servers"]
        shown = (await _said(client, "get_server_tools", server="board"))["tools"]
        asked = {"server": "board", "tool": "keep", "arguments": {"text": "by name"}}
        executed = await _said(client, "execute_tool", **asked)

    assert tools == TOOLS
    assert {(each["name"], each["status"]) for each in servers} == {
        ("notes", "ready"),
        ("board", "ready"),
    }
    assert {each["name"] for each in shown} == {"board_keep", "board_read"}
    assert executed == kept[1] + 1


@pytest.mark.requirement("G1", "C2")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_typescript_sdk_reaches_both_servers(
    installation: Installation, team: str, desk: str, mode: str
) -> None:
    url = f"{installation.base_url(team, desk)}/mcp"
    asked = {"server": "notes", "tool": "keep", "arguments": {"text": "by name"}}
    calls = [
        ("notes_keep", {"text": mode}),
        ("board_keep", {"text": mode}),
        ("execute_tool", asked),
        ("get_server_tools", {"server": "notes"}),
        ("list_servers", {}),
    ]

    ran = await clients.run("calls.mjs", url, installation.key(team, desk), mode, json.dumps(calls))

    answer = ran.json()
    assert set(answer["tools"]) == TOOLS
    notes, _, executed, shown, servers = [json.loads(it["text"]) for it in answer["answers"]]
    assert executed == notes + 1
    assert {each["name"] for each in shown["tools"]} == {
        name for name in TOOLS if name.startswith("notes_")
    }
    assert [each["status"] for each in servers["servers"]] == ["ready", "ready"]


@pytest.mark.requirement("G6", "A5", "W7")
async def test_one_server_crashes_and_the_other_is_served(
    installation: Installation, team: str
) -> None:
    manifest = example(installation, "half")
    manifest["spec"]["replicas"] = 1
    manifest["spec"]["backends"][0]["container"]["stdio"] = ["python", "-c", UNLESS_BROKEN]
    installation.apply(team, manifest)
    installation.wait_ready(team, "half")
    _wait_well(installation, team, "half")

    _inside(installation, team, "half", BREAK)

    eventually(
        lambda: _health(installation, team, "half") == {(503, "degraded")},
        "the health of a gateway with a server that crashes is degraded",
    )
    async with installation.client(team, "half") as client:
        assert await _said(client, "board_keep", text="still here") == 1
        with pytest.raises(MCPError) as failed:
            await _said(client, "notes_keep", text="gone")
        listed = (await _said(client, "list_servers"))["servers"]
        tools = {tool.name for tool in (await client.list_tools()).tools}
    assert failed.value.error.data["code"] == "SERVER_UNAVAILABLE"
    assert {each["name"]: each["status"] for each in listed} == {
        "notes": "unavailable",
        "board": "ready",
    }
    assert tools == OWN | {"board_keep", "board_read"}
    found = wait_for_reason(installation, team, "half", "Degraded", "BackendCrashing")
    assert "backend notes" in found["message"]
    assert "broken on purpose" in found["message"]
    assert installation.condition(team, "half", "Available")["status"] == "True"

    _inside(installation, team, "half", MEND)

    _wait_well(installation, team, "half")
    async with installation.client(team, "half") as client:
        assert await _when_back(client, "notes_keep", text="back") == 1


async def _when_back(client: Any, tool: str, /, **arguments: Any) -> Any:
    """Call again as long as the answer is that one may: a child that crashed has its pause."""
    async with asyncio.timeout(READY_SECONDS):
        while True:
            try:
                return await _said(client, tool, **arguments)
            except MCPError as error:
                if not error.error.data["retryable"]:
                    raise
                await asyncio.sleep(0.5)


def _pods(installation: Installation, team: str, name: str) -> list[dict[str, Any]]:
    selector = f"breakwater.dev/server={name}"
    return list(installation.cluster.get("pods", "-n", team, "-l", selector)["items"])


def _wait_well(installation: Installation, team: str, name: str) -> None:
    well = f"all backends in all pods of {name} answer"
    eventually(
        lambda: _health(installation, team, name) == {(200, "ok")}, well, seconds=READY_SECONDS
    )


def _health(installation: Installation, team: str, name: str) -> set[tuple[int, str]]:
    """Ask every pod how it is; one that does not answer is not known."""
    found = set()
    for pod in _pods(installation, team, name):
        url = f"http://{pod['status'].get('podIP')}:9464/health"
        try:
            answer = httpx2.get(url, timeout=10)
        except httpx2.TransportError:
            found.add((0, "unknown"))
        else:
            found.add((answer.status_code, answer.json()["status"]))
    return found


def _inside(installation: Installation, team: str, name: str, program: str) -> None:
    """Run a program in the container of the notes."""
    (pod,) = _pods(installation, team, name)
    into = ("-n", team, pod["metadata"]["name"], "-c", "backend-notes")
    installation.cluster.kubectl("exec", *into, "--", "python", "-c", program)
