"""A gateway as a process, one of whose commands does everything wrong, and the other nothing.

Prints what it measured where pytest shows output (`-s`).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent

from tests.support import children
from tests.support.children import Helper
from tests.unit.runtime.containers import LEAN
from tests.unit.runtime.test_process import (
    Running,
    client,
    message,
    modern,
    prepare,
    reserved,
    running,
    settings,
)

pytestmark = pytest.mark.process

ADMIN = "admin-key-0123456789"
SECONDS_MAX = 120
"""How long anything may take on a busy machine; never what a test is about."""

RUNTIME_GROWTH_MAX = 64 * 1024 * 1024
"""By how much the runtime may grow at its peak: a message may have 16 MiB, and is copied."""

HELPER_BYTES_MAX = 8 * 1024 * 1024
"""How much the helper, and the keeper of a child, may each have at their peak."""

LOG_BYTES_MAX = 4 * 1024 * 1024
ANSWERS = 20
BODY = "x" * 500_000
CALLS = 30


@dataclass(frozen=True)
class Hostile:
    """One way to misbehave, and what has to come of it."""

    mode: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    text: str = "hello"
    calls: int = 1
    """How many are asked at once."""
    refused: str | None = None
    """What a call is answered with; None: it is served."""
    reason: str | None = None
    """What the operator finds against it in the end; None: nothing."""
    found: str = ""
    """What stands in the finding."""


HOSTILE = [
    Hostile(("flood-stderr",)),
    Hostile(("never-read",), {"call": "2s"}, BODY, CALLS, refused="It took longer than 2 s"),
    Hostile(("endless-line",), refused="more than 16777216 bytes"),
    Hostile(
        ("garbage",),
        refused="has not answered yet",
        reason="BackendCrashing",
        found="what is not MCP",
    ),
    Hostile(("chatters",)),
    Hostile(("grandchildren",)),
    Hostile(("ignores-term",)),
    Hostile(
        ("exits",),
        refused="has not answered yet",
        reason="BackendCrashing",
        found="exit code 7 and said: no database",
    ),
    Hostile(
        ("slow", "3600"),
        {"start": "3s"},
        refused="has not answered yet",
        reason="BackendCrashing",
        found="it said nothing in 3s",
    ),
]


@dataclass
class Ground:
    """A gateway, and the helpers of both commands."""

    runtime: Running
    good: Helper
    bad: Helper

    def findings(self, backend: str = "bad") -> list[dict[str, str]]:
        """Read what the operator would."""
        url, key = f"{self.runtime.management}/health", {"x-api-key": ADMIN}
        told = httpx2.get(url, headers=key, timeout=SECONDS_MAX).json()
        (found,) = [each["findings"] for each in told["backends"] if each["name"] == backend]
        return list(found)

    def serves_the_good_one(self) -> bool:
        """Say whether the command that behaves can be called."""
        assert self.runtime.process.poll() is None, self.runtime.log.read_text()
        try:
            return not self.findings("good")
        except httpx2.TransportError:
            return False

    async def until_found(self, reason: str | None, text: str) -> None:
        """Wait until that, and nothing else, is found."""
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                found = await asyncio.to_thread(self.findings)
                if reason is None and not found:
                    return
                if any(each["reason"] == reason and text in each["message"] for each in found):
                    return
                await asyncio.sleep(0.05)


@contextmanager
def gateway(folder: Path, *mode: str, **more: Any) -> Iterator[Ground]:
    """Run a gateway of a command that behaves and of one that does not."""
    for name in ("good", "bad", "runtime"):
        (folder / name).mkdir()
    (folder / "runtime/admin").write_text(ADMIN)
    with (
        children.helper(folder / "good", LEAN) as good,
        children.helper(folder / "bad", [*LEAN, *mode]) as bad,
        reserved() as ports,
    ):
        content = settings(ports)
        content["live"]["adminKeyFile"] = "admin"
        content["backends"] = [
            {"name": "good", "container": {"stdio": {"socket": str(good.socket)}}},
            {"name": "bad", "container": {"stdio": {"socket": str(bad.socket)}, **more}},
        ]
        with running(prepare(folder / "runtime", content), ports) as runtime:
            ground = Ground(runtime, good, bad)
            children.until(ground.serves_the_good_one, SECONDS_MAX)
            yield ground


@dataclass
class Neighbour:
    """Somebody who asks the other command, one call after another."""

    answered: int = 0
    slowest: float = 0.0

    async def ask(self, connected: Client) -> None:
        """Ask for ever; a wrong answer, or none, is a failure."""
        now = asyncio.get_running_loop().time
        while True:
            began = now()
            assert await said(connected, "good_echo", text=str(self.answered)) == str(self.answered)
            self.slowest = max(self.slowest, now() - began)
            self.answered += 1
            await asyncio.sleep(0.02)

    async def until_answered(self, more: int) -> None:
        """Wait for so many answers more."""
        wanted = self.answered + more
        async with asyncio.timeout(SECONDS_MAX):
            while self.answered < wanted:  # noqa: ASYNC110 - it is a figure, and no event
                await asyncio.sleep(0.02)


@asynccontextmanager
async def neighbour(ground: Ground) -> AsyncIterator[Neighbour]:
    """Have somebody ask the other command all the time."""
    asking = Neighbour()
    async with client(ground.runtime) as connected, asyncio.TaskGroup() as together:
        task = together.create_task(asking.ask(connected))
        await asking.until_answered(1)
        yield asking
        task.cancel()


async def said(connected: Client, tool: str, **arguments: object) -> str:
    """Call a tool and get the text that it returns."""
    async with asyncio.timeout(SECONDS_MAX):
        content = (await connected.call_tool(tool, arguments)).content[0]
    assert isinstance(content, TextContent)
    return content.text


async def refused(connected: Client, hostile: Hostile) -> None:
    """Call the command that misbehaves, and see that all are told, and at least one of them why.

    Those who come later than that, on a busy machine, find it ended.
    """
    calls = [said(connected, "bad_echo", text=hostile.text) for _ in range(hostile.calls)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    told = [answer.error for answer in answers if isinstance(answer, MCPError)]
    assert len(told) == hostile.calls, answers
    assert {each.data["code"] for each in told} <= {"TIMEOUT", "SERVER_UNAVAILABLE"}, told
    assert {each.data["backend"] for each in told} == {"bad"}, told
    assert any(str(hostile.refused) in each.message for each in told), told


@pytest.mark.requirement("A5", "G6", "W7")
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.mode[0])
async def test_a_command_that_misbehaves_costs_little_and_disturbs_nobody(
    tmp_path: Path, hostile: Hostile
) -> None:
    with gateway(tmp_path, *hostile.mode, **hostile.settings) as ground:
        before = resident(ground.runtime.process.pid)
        async with neighbour(ground) as other, client(ground.runtime) as connected:
            await ground.until_found(hostile.reason, hostile.found)
            if hostile.refused is None:
                for number in range(ANSWERS):
                    assert await said(connected, "bad_echo", text=str(number)) == str(number)
            else:
                await refused(connected, hostile)
            await other.until_answered(ANSWERS)
            await ground.runtime.ready()
            grown = peak(ground.runtime.process.pid) - before
            helpers = {pid: peak(pid) for pid in (ground.bad.process.pid, *keepers(ground.bad))}

    print(  # noqa: T201 - a figure
        f"{hostile.mode[0]}: runtime +{grown / 1e6:.1f} MB, helper and keepers "
        f"{max(helpers.values()) / 1e6:.1f} MB, slowest answer of the other {other.slowest:.2f} s"
    )
    assert not any(map(children.alive, helpers))
    assert grown < RUNTIME_GROWTH_MAX
    assert max(helpers.values()) < HELPER_BYTES_MAX
    assert ground.bad.log.stat().st_size < LOG_BYTES_MAX


@dataclass
class Listener:
    """Somebody who listens for changes of the list of tools."""

    changes: int = 0

    async def listen(self, runtime: Running) -> None:
        """Listen for ever."""
        asked = message("subscriptions/listen", notifications={"toolsListChanged": True})
        headers = modern("subscriptions/listen")
        async with (
            httpx2.AsyncClient(timeout=None) as http,
            http.stream("POST", f"{runtime.public}/mcp", headers=headers, json=asked) as stream,
        ):
            async for line in stream.aiter_lines():
                self.changes += "notifications/tools/list_changed" in line

    async def until(self, changes: int) -> None:
        """Wait until so many were heard."""
        async with asyncio.timeout(SECONDS_MAX):
            while self.changes < changes:  # noqa: ASYNC110 - it is a figure, and no event
                await asyncio.sleep(0.05)


async def listed(runtime: Running) -> tuple[set[str], list[str]]:
    """List tools; say which there are, and whose are missing."""
    body, headers = message("tools/list"), modern("tools/list")
    async with httpx2.AsyncClient(timeout=SECONDS_MAX) as http:
        answer = await http.post(f"{runtime.public}/mcp", headers=headers, json=body)
    result = answer.json()["result"]
    missing = result["_meta"].get("breakwater.dev/missingBackends", [])
    return {tool["name"] for tool in result["tools"]}, missing


@pytest.mark.prove
@pytest.mark.requirement("A5", "G6", "W7")
async def test_a_command_that_needs_a_minute_to_start_is_served_then(tmp_path: Path) -> None:
    listener = Listener()
    with gateway(tmp_path, "slow", "60") as ground:
        runtime = ground.runtime
        before = resident(runtime.process.pid)
        async with (
            neighbour(ground) as other,
            client(runtime) as connected,
            asyncio.TaskGroup() as together,
        ):
            listening = together.create_task(listener.listen(runtime))
            await ground.until_found("BackendStarting", "it has not answered yet")
            assert (await listed(runtime))[1] == ["bad"]
            with pytest.raises(MCPError, match="has not answered yet"):
                await said(connected, "bad_echo", text="too early")
            await ground.until_found(None, "")
            await listener.until(1)

            # The caller's own child needs its minute too: lists go without it, calls wait.
            tools, missing = await listed(runtime)
            assert ("bad_echo" in tools, missing) == (False, ["bad"])
            answered = other.answered
            await listener.until(2)
            tools, missing = await listed(runtime)
            assert ("bad_echo" in tools, missing) == (True, [])
            assert await said(connected, "bad_echo", text="hello") == "hello"
            listening.cancel()
        grown = peak(runtime.process.pid) - before

    assert answered > ANSWERS
    assert other.answered > answered
    assert grown < RUNTIME_GROWTH_MAX


def keepers(helper: Helper) -> list[int]:
    """Name the parents of a helper's commands."""
    return children.children_of(helper.process.pid)


def resident(pid: int) -> int:
    """Say how much memory a process has."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> int:
    """Say how much memory a process had at most; nothing where it has ended meanwhile."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    values = dict(line.split(":", 1) for line in lines)
    return int(values.get(name, "0").split()[0]) * 1024
