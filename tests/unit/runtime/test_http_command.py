"""A server that listens and is started by the helper: its end is its own affair."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_contract.backends import Reason
from breakwater_runtime.backends import container
from breakwater_runtime.backends.container import ContainerBackend, Pod
from breakwater_runtime.calls import RpcError
from tests.support import children
from tests.support.children import Helper
from tests.support.conformance.fronts import free_ports
from tests.unit.runtime import containers
from tests.unit.runtime.containers import eventually, text, tool

process = pytest.mark.process


@asynccontextmanager
async def behind(helper: Helper, port: int, **http: Any) -> AsyncIterator[ContainerBackend]:
    """Run a backend whose command the helper starts."""
    told = Settings.model_validate({"http": {"port": port, "socket": str(helper.socket), **http}})
    made = container.backend("main", told, Path("/"), Pod())
    async with made.running():
        yield made


@process
@pytest.mark.requirement("A5")
async def test_a_command_that_ends_is_started_again_by_its_helper(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with children.helper(tmp_path, [*containers.LEAN, "listens", str(port)]) as helper:
        async with behind(helper, port) as backend:
            await containers.well(backend)
            pid = int(await text(backend, tool("pid")))
            os.kill(pid, signal.SIGKILL)

            await eventually(lambda: backend.fault is not None)
            assert backend.findings[0].reason is Reason.CRASHING
            assert "signal 9" in backend.findings[0].message
            assert helper.process.poll() is None
            with pytest.raises(RpcError) as failed:
                await backend.answer(tool("echo"))
            assert failed.value.data["code"] == "SERVER_UNAVAILABLE"
            await containers.well(backend)
            assert int(await text(backend, tool("pid"))) != pid

        await eventually(lambda: not helper.descendants())


@process
async def test_its_home_is_the_containers_and_its_words_are_in_the_log(tmp_path: Path) -> None:
    (port,), mine = free_ports(1), {"HOME": "/home/mine"}
    command = [*containers.LEAN, "listens", str(port)]
    with children.helper(tmp_path, command, environment=mine) as helper:
        async with behind(helper, port) as backend:
            await containers.well(backend)

            assert await text(backend, tool("environment", variable="HOME")) == "/home/mine"
            assert "started" in helper.log.read_text()
            assert not any(helper.work.iterdir())


@process
async def test_what_a_command_said_last_is_what_is_found(tmp_path: Path) -> None:
    with children.helper(tmp_path, [*containers.LEAN, "exits"]) as helper:
        async with behind(helper, free_ports(1)[0]) as backend:
            await eventually(lambda: "no database" in (backend.fault or ""))

            assert backend.findings[0].reason is Reason.CRASHING


@process
async def test_without_a_helper_the_backend_says_so(tmp_path: Path) -> None:
    told = {"http": {"port": free_ports(1)[0], "socket": str(tmp_path / "nowhere")}}
    made = container.backend("main", Settings.model_validate(told), Path("/"), Pod())

    async with made.running():
        await eventually(lambda: "nobody listens at" in (made.fault or ""))
        assert made.findings[0].reason is Reason.UNREACHABLE


def test_a_user_of_no_socket_is_refused() -> None:
    with pytest.raises(ValidationError, match="write socket too"):
        Settings.model_validate({"http": {"port": 8000, "user": 5}})
