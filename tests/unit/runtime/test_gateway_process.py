"""A gateway as a process: Python code, a command behind the helper, and another runtime by its URL.

Prints what it measured where pytest shows output (`-s`).
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent

from tests.support import children
from tests.support.children import Helper
from tests.unit.runtime.containers import LEAN
from tests.unit.runtime.fakes import ALICE
from tests.unit.runtime.test_process import Running, client, prepare, reserved, running, settings

pytestmark = pytest.mark.process

RULES = 10_000
IN_FORCE_SECONDS = 20.0
"""A bound of the test, not the goal, which is 2 s: the machine may be busy."""


@dataclass
class Ground:
    """What a gateway stands on."""

    folder: Path
    remote_ports: tuple[int, int]
    helper: Helper
    remote_config: Path


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    (tmp_path / "remote").mkdir()
    with reserved() as ports, children.helper(tmp_path, LEAN) as helper:
        config = prepare(tmp_path / "remote", settings(ports))
        yield Ground(tmp_path, ports, helper, config)


@contextmanager
def gateway(ground: Ground, **live: Any) -> Iterator[Running]:
    folder = ground.folder / "gateway"
    folder.mkdir()
    (folder / "remote-key").write_text(ALICE)
    (folder / "live.json").write_text(json.dumps({"keysDirectory": "keys", **live}))
    with reserved() as ports:
        remote = {
            "url": f"http://127.0.0.1:{ground.remote_ports[0]}/mcp",
            "insecurePlainHttp": True,
            "addresses": ["127.0.0.1"],
            "credential": {"file": "remote-key", "header": "X-API-Key", "scheme": ""},
            "breaker": {"failures": 2, "open": "300ms"},
        }
        content = settings(ports)
        content["backends"] = [
            {"name": "own", "python": {"server": "weather:mcp"}},
            {"name": "child", "container": {"stdio": {"socket": str(ground.helper.socket)}}},
            {"name": "far", "remote": remote},
        ]
        del content["live"]
        content["liveFile"] = "live.json"
        with running(prepare(folder, content), ports) as runtime:
            runtime.wait_until_ready()
            yield runtime


async def text(connected: Client, name: str, /, **arguments: object) -> str:
    content = (await connected.call_tool(name, arguments)).content[0]
    assert isinstance(content, TextContent)
    return content.text


async def names(connected: Client) -> set[str]:
    return {tool.name for tool in (await connected.list_tools()).tools}


async def until_listed(connected: Client, tool: str, *, there: bool) -> None:
    end = time.monotonic() + IN_FORCE_SECONDS
    while (tool in await names(connected)) is not there:
        assert time.monotonic() < end


@pytest.mark.requirement("G1")
@pytest.mark.requirement("G6")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_one_backend_of_three_is_killed_and_comes_back(ground: Ground, mode: str) -> None:
    with gateway(ground) as runtime:
        with running(ground.remote_config, ground.remote_ports) as remote:
            remote.wait_until_ready()
            async with client(runtime, mode) as connected:
                await until_listed(connected, "far_forecast", there=True)
                await until_listed(connected, "child_echo", there=True)

                assert await text(connected, "own_forecast", city="Rome") == "sun in Rome"
                assert await text(connected, "child_echo", text="hello") == "hello"
                assert await text(connected, "far_forecast", city="Oslo") == "sun in Oslo"
                arguments = {"server": "far", "tool": "forecast", "arguments": {"city": "Bonn"}}
                assert await text(connected, "execute_tool", **arguments) == "sun in Bonn"

                remote.process.kill()
                remote.process.wait()
                for _ in range(3):
                    with pytest.raises(MCPError) as failed:
                        await text(connected, "far_forecast", city="Oslo")
                    assert failed.value.error.data["code"] == "SERVER_UNAVAILABLE"
                await until_listed(connected, "far_forecast", there=False)
                assert await text(connected, "own_forecast", city="Rome") == "sun in Rome"
                assert await text(connected, "child_echo", text="hello") == "hello"
                await runtime.ready()

        with running(ground.remote_config, ground.remote_ports) as again:
            again.wait_until_ready()
            async with client(runtime, mode) as connected:
                await until_listed(connected, "far_forecast", there=True)
                assert await text(connected, "far_forecast", city="Oslo") == "sun in Oslo"


def rules(denied: str) -> list[dict[str, Any]]:
    allow = {"name": "all", "effect": "Allow", "principals": ["*"], "tools": ["*"]}
    deny = {"effect": "Deny", "principals": ["alice"], "tools": [denied]}
    others = (
        {**deny, "name": f"rule-{number}", "principals": [f"agent-{number}"]}
        for number in range(RULES)
    )
    return [allow, {**deny, "name": "denied"}, *others]


@pytest.mark.requirement("G2")
async def test_ten_thousand_policies_change_without_a_restart(ground: Ground) -> None:
    with gateway(ground, access={"policies": rules("own_slow")}) as runtime:
        async with client(runtime) as connected:
            assert "own_slow" not in await names(connected)
            assert "own_variable" in await names(connected)

            live = {"keysDirectory": "keys", "access": {"policies": rules("own_variable")}}
            new = runtime.folder / "new.json"
            new.write_text(json.dumps(live))
            new.rename(runtime.folder / "live.json")
            began = time.monotonic()
            await until_listed(connected, "own_variable", there=False)
            print(f"in force after {time.monotonic() - began:.2f} s")  # noqa: T201 - a figure

            with pytest.raises(MCPError) as failed:
                await text(connected, "own_variable", name="PATH")
            assert failed.value.error.data["rule"] == "denied"
            assert "own_slow" in await names(connected)
