"""Commands that do what servers should not: bounded, answered clearly, and gone in the end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from breakwater_contract.backends import Reason
from breakwater_runtime.backends.container import ContainerBackend
from breakwater_runtime.calls import RpcError
from tests.support import children
from tests.unit.runtime import containers
from tests.unit.runtime.containers import eventually, text, tool

pytestmark = pytest.mark.process

GROWTH_MAX = 100 * 1024 * 1024
"""By how much this process may grow; the messages that servers may send have 16 MiB."""


@asynccontextmanager
async def misbehaving(
    folder: Path, *mode: str, **settings: object
) -> AsyncIterator[tuple[ContainerBackend, children.Helper]]:
    with children.helper(folder, [*containers.LEAN, *mode]) as helper:
        async with containers.starting(helper, **settings) as backend:
            yield backend, helper


@pytest.mark.requirement("A5")
@pytest.mark.parametrize(
    "mode", ["flood-stderr", "chatters", "grandchildren", "ignores-term", "ignores-unknown"]
)
async def test_it_is_served_all_the_same_and_nothing_of_it_is_left(
    tmp_path: Path, mode: str
) -> None:
    async with misbehaving(tmp_path, mode) as (backend, helper):
        await containers.well(backend)
        for number in range(20):
            assert await text(backend, tool("echo", text=str(number))) == str(number)

    assert not any(map(children.alive, helper.descendants()))
    assert helper.log.stat().st_size < 10 * 1024 * 1024


@pytest.mark.requirement("A5")
async def test_an_end_kills_what_a_child_started_in_sessions_of_its_own(tmp_path: Path) -> None:
    async with misbehaving(tmp_path, "grandchildren") as (backend, helper):
        await containers.well(backend)
        pid = int(await text(backend, tool("pid")))
        await eventually(lambda: len(children.descendants(pid)) > 0)
        before = set(helper.descendants())
        os.kill(pid, signal.SIGKILL)

        # The sentinel's own processes stay: another child, which nobody killed.
        await eventually(lambda: sum(map(children.alive, before)) <= len(before) - 3)


@pytest.mark.requirement("A5")
async def test_a_line_of_a_gigabyte_ends_the_child_and_stays_out_of_memory(tmp_path: Path) -> None:
    async with misbehaving(tmp_path, "endless-line") as (backend, _):
        await containers.well(backend)
        before = _resident_bytes()

        with pytest.raises(RpcError) as failed:
            await backend.answer(tool("echo", text="x"))

        assert "more than 16777216 bytes" in failed.value.message
        assert _resident_bytes() - before < GROWTH_MAX


@pytest.mark.requirement("A5")
async def test_children_of_many_that_end_no_message_have_the_memory_of_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breakwater_runtime.backends.container.pipes.TURN_SECONDS", 1.0)
    async with misbehaving(tmp_path, "half-line") as (backend, _):
        await containers.well(backend)
        before, most = _resident_bytes(), 0
        calls = [
            asyncio.ensure_future(backend.answer(tool("echo", text="x", by=f"caller-{number}")))
            for number in range(20)
        ]

        async with asyncio.timeout(120):
            while not all(call.done() for call in calls):
                most = max(most, _resident_bytes())
                await asyncio.sleep(0.02)

    said = {str(call.exception()) for call in calls}
    assert all("it does not end a message that it began" in each for each in said), said
    assert most - before < GROWTH_MAX


async def test_large_messages_of_many_children_all_come_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breakwater_runtime.backends.container.turns.AT_ONCE", 1)
    async with misbehaving(tmp_path, "good") as (backend, _):
        await containers.well(backend)
        long = "x" * 3 * 1024 * 1024

        async with asyncio.timeout(120):
            said = await asyncio.gather(
                *(text(backend, tool("echo", text=long, by=f"caller-{n}")) for n in range(8))
            )

    assert said == [long] * 8


async def test_a_child_that_reads_nothing_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breakwater_runtime.backends.container.pipes.STALL_SECONDS", 0.3)
    async with misbehaving(tmp_path, "never-read", isolation="Shared") as (backend, _):
        await containers.well(backend)
        calls = [backend.answer(tool("echo", text="x" * 100_000)) for _ in range(10)]

        async with asyncio.timeout(10):
            failed = await asyncio.gather(*calls, return_exceptions=True)

        assert all(isinstance(each, RpcError) for each in failed)


async def test_nobody_waits_longer_than_a_call_may_take_for_a_child_that_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breakwater_runtime.backends.container.pipes.STALL_SECONDS", 3600)
    monkeypatch.setattr("breakwater_runtime.backends.codec.conversation.ALIVE_SECONDS", 3600)
    settings = {"isolation": "Shared", "call": "300ms"}
    async with misbehaving(tmp_path, "never-read", **settings) as (backend, _):
        await containers.well(backend)
        calls = [backend.answer(tool("echo", text="x" * 100_000)) for _ in range(10)]

        async with asyncio.timeout(60):
            failed = await asyncio.gather(*calls, return_exceptions=True)

    assert {each.data["code"] for each in failed if isinstance(each, RpcError)} == {"TIMEOUT"}


@pytest.mark.parametrize(
    ("mode", "said"),
    [("exits", "exit code 7 and said: no database"), ("garbage", "what is not MCP")],
)
async def test_the_operator_learns_why_it_cannot_start(
    tmp_path: Path, mode: str, said: str
) -> None:
    async with misbehaving(tmp_path, mode) as (backend, _):
        await eventually(lambda: said in (backend.fault or ""))

        assert backend.findings[0].reason is Reason.CRASHING
        with pytest.raises(RpcError) as failed:
            await backend.answer(tool("echo", text="x"))
        assert "database" not in failed.value.message


async def test_a_slow_start_is_waited_for(tmp_path: Path) -> None:
    async with misbehaving(tmp_path, "slow", "6") as (backend, _):
        assert backend.fault is not None
        await containers.well(backend)

        assert await text(backend, tool("echo", text="here", by="")) == "here"


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
