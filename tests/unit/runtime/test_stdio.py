"""A command behind the real helper: who gets which child, and what happens when one ends."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from mcp_types import METHOD_NOT_FOUND

from breakwater_contract.backends import Reason
from breakwater_runtime.calls import RpcError
from tests.support import children
from tests.support.children import Helper
from tests.unit.runtime import containers
from tests.unit.runtime.containers import MODERN, OLDER, call, eventually, text, tool

pytestmark = pytest.mark.process


@pytest.fixture
def lean(tmp_path: Path) -> Iterator[Helper]:
    with children.helper(tmp_path, containers.LEAN) as helper:
        yield helper


@pytest.mark.requirement("A5")
@pytest.mark.parametrize("version", [OLDER, MODERN])
async def test_a_command_is_called(lean: Helper, version: str) -> None:
    async with containers.backend(lean) as backend:
        result = orjson.loads(await backend.answer(tool("echo", version=version, text="hello")))

    assert result["content"] == [{"type": "text", "text": "hello"}]
    assert result.get("resultType") == ("complete" if version == MODERN else None)


async def test_what_a_server_says_of_itself_is_told_in_both_eras(lean: Helper) -> None:
    async with containers.backend(lean) as backend:
        discovered = orjson.loads(await backend.answer(call("server/discover", version=MODERN)))
        initialized = orjson.loads(
            await backend.answer(call("initialize", {"protocolVersion": "2025-06-18"}))
        )

    assert discovered["supportedVersions"] == [MODERN]
    assert discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "lean"
    assert initialized["serverInfo"]["name"] == "lean"
    assert initialized["protocolVersion"] == "2025-06-18"


@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel"])
async def test_what_the_newest_revision_removed_is_not_found_there(
    lean: Helper, method: str
) -> None:
    async with containers.backend(lean) as backend:
        with pytest.raises(RpcError) as failed:
            await backend.answer(call(method, version=MODERN))

    assert failed.value.code == METHOD_NOT_FOUND


@pytest.mark.requirement("A5")
async def test_a_hundred_principals_each_have_a_counter_of_their_own(lean: Helper) -> None:
    async with containers.backend(lean, instances={"max": 120}) as backend:
        for number in (1, 2):
            counted = await asyncio.gather(
                *(text(backend, tool("count", by=f"p{each}")) for each in range(100))
            )

            assert counted == [str(number)] * 100


async def test_all_share_one_child_where_that_is_asked_for(lean: Helper) -> None:
    async with containers.backend(lean, isolation="Shared") as backend:
        pids = {await text(backend, tool("pid", by=f"p{each}")) for each in range(5)}

    assert len(pids) == 1


async def test_sessions_have_children_of_their_own_that_end_with_them(lean: Helper) -> None:
    async with containers.backend(lean, isolation="PerSession") as backend:
        asked = [tool("pid"), tool("pid")]
        for number, each in enumerate(asked):
            each.peer = backend.connect(f"s{number}", containers.Notes())
        pids = [int(await text(backend, each)) for each in asked]
        assert asked[0].peer is not None
        await asked[0].peer.close()

        await eventually(lambda: not children.alive(pids[0]))
        assert children.alive(pids[1])


async def test_each_child_has_its_own_home_and_folder_for_temporary_files(lean: Helper) -> None:
    async with containers.backend(lean) as backend:
        seen = {
            await text(backend, tool("environment", by=by, variable=name))
            for by in ("alice", "bob")
            for name in ("HOME", "TMPDIR")
        }

        assert len(seen) == 4
        assert seen == {str(each) for each in lean.work.glob("child-*/*") if str(each) in seen}

    await eventually(lambda: not any(lean.work.iterdir()))


async def test_a_child_cannot_take_more_memory_than_its_cap(tmp_path: Path) -> None:
    cap = 256 * 1024 * 1024
    with children.helper(tmp_path, containers.LEAN, "--memory", str(cap)) as helper:
        async with containers.backend(helper) as backend:
            assert await text(backend, tool("allocate", bytes=1024)) == "1024"

            with pytest.raises(RpcError) as failed:
                await backend.answer(tool("allocate", bytes=2 * cap))

    assert failed.value.data["code"] == "SERVER_UNAVAILABLE"


@pytest.mark.requirement("A5")
async def test_a_child_that_dies_fails_its_call_at_once_and_the_next_one_has_another(
    lean: Helper,
) -> None:
    async with containers.backend(lean) as backend:
        before = await text(backend, tool("pid"))

        with pytest.raises(RpcError) as failed:
            await backend.answer(tool("die"))

        assert failed.value.data["code"] == "SERVER_UNAVAILABLE"
        assert failed.value.data["retryable"] is False
        assert "exit code 3" in failed.value.message
        assert await containers.insisted(backend, lambda: tool("pid")) != before


async def test_progress_carries_the_callers_own_token(lean: Helper) -> None:
    asked = tool("steps")
    assert asked.params is not None
    asked.params["_meta"] = {"progressToken": "mine"}
    async with containers.backend(lean) as backend:
        await backend.answer(asked)

    heard = asked.channel.heard  # type: ignore[attr-defined] # it is ours
    assert [params["progressToken"] for _, params in heard] == ["mine"] * 3
    assert [params["progress"] for _, params in heard] == [0, 1, 2]


@pytest.mark.requirement("A4")
async def test_a_child_that_is_stuck_in_a_call_that_nobody_waits_for_is_killed(
    lean: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breakwater_runtime.backends.codec.conversation.ALIVE_SECONDS", 0.2)
    async with containers.backend(lean) as backend:
        pid = int(await text(backend, tool("pid")))
        stuck = asyncio.ensure_future(backend.answer(tool("sleep", seconds=3600)))
        await asyncio.sleep(0)
        stuck.cancel()

        await eventually(lambda: not children.alive(pid))


async def test_a_child_that_answers_survives_a_call_that_nobody_waits_for(
    lean: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breakwater_runtime.backends.codec.conversation.ALIVE_SECONDS", 0.5)
    async with containers.backend(lean) as backend:
        before = await text(backend, tool("count"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await backend.answer(tool("silent"))
        await asyncio.sleep(1)

        assert (before, await text(backend, tool("count"))) == ("1", "2")


async def test_a_call_that_takes_too_long_is_a_timeout(lean: Helper) -> None:
    async with containers.backend(lean, call="200ms") as backend:
        with pytest.raises(RpcError) as failed:
            await backend.answer(tool("silent"))

    assert failed.value.data["code"] == "TIMEOUT"


async def test_each_call_that_takes_too_long_is_a_timeout_in_its_turn(lean: Helper) -> None:
    async with containers.backend(lean, call="200ms") as backend:
        first = asyncio.create_task(backend.answer(tool("silent")))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(backend.answer(tool("silent")))
        await text(backend, tool("echo", text="in between"))
        async with asyncio.timeout(10):
            failures = await asyncio.gather(first, second, return_exceptions=True)

    codes = [each.data["code"] for each in failures if isinstance(each, RpcError)]
    assert codes == ["TIMEOUT", "TIMEOUT"]


async def test_calls_of_one_moment_reach_the_child_together_and_whole(lean: Helper) -> None:
    texts = [str(number) * 3000 for number in range(100)]
    async with containers.backend(lean) as backend:
        answers = await asyncio.gather(*(text(backend, tool("echo", text=one)) for one in texts))

    assert answers == texts


@pytest.mark.requirement("W7")
async def test_health_follows_a_server_that_is_restarted(lean: Helper) -> None:
    async with containers.backend(lean, isolation="Shared") as backend:
        pid = int(await text(backend, tool("pid")))
        os.kill(pid, signal.SIGKILL)

        await eventually(lambda: backend.fault is not None)
        assert backend.findings[0].reason is Reason.CRASHING
        await containers.well(backend)
        assert int(await containers.insisted(backend, lambda: tool("pid"))) != pid


async def test_nothing_is_left_of_children_when_the_runtime_is_gone(lean: Helper) -> None:
    async with containers.backend(lean) as backend:
        pid = int(await text(backend, tool("pid")))

    await eventually(lambda: not children.alive(pid))
    await eventually(lambda: not lean.descendants())


async def test_without_a_helper_the_backend_says_so(tmp_path: Path) -> None:
    with children.helper(tmp_path, containers.LEAN) as helper:
        async with containers.backend(helper) as backend:
            helper.process.kill()
            await eventually(lambda: backend.fault is not None)

            assert backend.findings[0].reason is Reason.UNREACHABLE
            with pytest.raises(RpcError) as failed:
                await backend.answer(tool("echo", by="carol"))
    assert failed.value.data["retryable"] is True
