"""The runtime as a process in front of commands: what is left when one of both is killed."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp_types import TextContent

from tests.support import children
from tests.support.children import until
from tests.support.conformance.fronts import free_ports
from tests.unit.runtime.containers import LEAN
from tests.unit.runtime.test_process import Running, client, prepare, reserved, running, settings

pytestmark = pytest.mark.process

SECONDS_MAX = 60


def stdio(helper: children.Helper, **more: Any) -> dict[str, Any]:
    """Write a backend whose command speaks over its standard streams."""
    return {"container": {"stdio": {"socket": str(helper.socket)}, **more}}


@contextmanager
def serving(folder: Path, *backends: dict[str, Any]) -> Iterator[Running]:
    """Run the runtime in front of backends until it is ready."""
    folder.mkdir()
    with reserved() as ports:
        content = settings(ports)
        content["backends"] = [{"name": f"b{n}", **each} for n, each in enumerate(backends)]
        with running(prepare(folder, content), ports) as runtime:
            runtime.wait_until_ready()
            yield runtime


async def pid(runtime: Running, tool: str = "pid") -> int:
    """Ask a child who it is."""
    async with client(runtime) as connected:
        content = (await connected.call_tool(tool, {})).content[0]
    assert isinstance(content, TextContent)
    return int(content.text)


@pytest.mark.requirement("A5")
@pytest.mark.parametrize("mode", ["good", "grandchildren", "ignores-term"])
async def test_a_runtime_that_is_killed_leaves_no_child_and_the_next_one_is_served(
    tmp_path: Path, mode: str
) -> None:
    with children.helper(tmp_path, [*LEAN, mode]) as helper:
        backend = stdio(helper, instances={"spares": 1})
        with serving(tmp_path / "first", backend) as runtime:
            before = await pid(runtime)
            runtime.process.kill()
            runtime.process.wait()

            until(lambda: not helper.descendants(), SECONDS_MAX)
            until(lambda: not any(helper.work.iterdir()), SECONDS_MAX)
        with serving(tmp_path / "second", backend) as runtime:
            assert await pid(runtime) != before

    assert not helper.socket.exists()


@pytest.mark.requirement("A5")
async def test_a_helper_that_is_killed_leaves_no_child_and_the_next_one_is_served(
    tmp_path: Path,
) -> None:
    with (
        children.helper(tmp_path, [*LEAN, "grandchildren"]) as helper,
        serving(tmp_path / "runtime", stdio(helper)) as runtime,
    ):
        before = {await pid(runtime), *helper.descendants()}
        os.kill(helper.process.pid, signal.SIGKILL)

        until(lambda: not any(map(children.alive, before)), SECONDS_MAX)
        assert helper.socket.exists()  # nobody could remove it
        with children.helper(tmp_path, LEAN) as again:
            assert again.socket == helper.socket
            runtime.wait_until_ready()
            assert await pid(runtime) not in before

    assert not helper.socket.exists()


@pytest.mark.requirement("G6")
async def test_a_listening_command_that_crashes_takes_nobody_else_out_of_service(
    tmp_path: Path,
) -> None:
    (port,) = free_ports(1)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with (
        children.helper(tmp_path / "a", LEAN) as well,
        children.helper(tmp_path / "b", [*LEAN, "exits"]) as crashing,
    ):
        listening = {"container": {"http": {"port": port, "socket": str(crashing.socket)}}}
        with serving(tmp_path / "runtime", stdio(well), listening) as runtime:
            until(lambda: "no database" in crashing.log.read_text())

            await runtime.ready()
            assert await pid(runtime, "b0_pid")
            assert crashing.process.poll() is None
            health = httpx2.get(f"{runtime.management}/health").json()
            assert health["status"] == "degraded"
