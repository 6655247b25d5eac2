"""The runtime as somebody starts it without Kubernetes: by its environment alone."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.support.python_path import python_path
from tests.unit.runtime.fakes import ADMIN, ALICE
from tests.unit.runtime.test_process import (
    COMMAND,
    MODULE,
    START_SECONDS,
    Running,
    call,
    client,
    message,
    modern,
    reserved,
)

pytestmark = [pytest.mark.process, pytest.mark.requirement("A11")]


def environment(folder: Path, **more: str) -> dict[str, str]:
    (folder / "weather.py").write_text(MODULE)
    (folder / "key").write_text(f"{ALICE}\n")
    return {
        "PATH": os.defpath,
        "PYTHONPATH": python_path(folder),
        "BREAKWATER_BACKEND_PYTHON_SERVER": "weather:mcp",
        **more,
    }


@contextmanager
def running(folder: Path, **more: str) -> Iterator[Running]:
    """Run the runtime with these variables until the end of the block."""
    with reserved() as ports, (folder / "log").open("w") as log:
        variables = environment(folder, **more) | {
            "BREAKWATER_LISTEN_PUBLIC_PORT": str(ports[0]),
            "BREAKWATER_LISTEN_MANAGEMENT_PORT": str(ports[1]),
        }
        process = subprocess.Popen([COMMAND], cwd=folder, env=variables, stderr=log, text=True)
        public, management = (f"http://127.0.0.1:{port}" for port in ports)
        try:
            runtime = Running(process, public, management, folder, folder / "log")
            runtime.wait_until_ready()
            yield runtime
        finally:
            process.kill()
            process.wait()


async def test_a_server_runs_by_variables_alone(tmp_path: Path) -> None:
    with running(
        tmp_path, BREAKWATER_KEY_FILE="key", BREAKWATER_ADMIN_KEY=ADMIN, RATE_LIMIT="120"
    ) as runtime:
        async with client(runtime) as connected:
            answer = await call(connected, "forecast", city="Rome")
            secret = await call(connected, "variable", name="BREAKWATER_ADMIN_KEY")
        response = httpx2.post(
            f"{runtime.public}/mcp", headers=modern("tools/list"), json=message("tools/list")
        )
        health = httpx2.get(f"{runtime.management}/health", headers={"x-api-key": ADMIN})
        runtime.process.send_signal(signal.SIGINT)
        code = await runtime.stopped()

    assert (answer, secret, code) == ("sun in Rome", "", 0)
    assert '"principal";q=120' in response.headers["ratelimit-policy"]
    assert "backends" in health.json()


async def test_a_key_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    with running(tmp_path, BREAKWATER_KEY_FILE="key") as runtime:
        (tmp_path / "key").write_text("another-key")
        await runtime.until_log("live settings loaded", times=2)
        old, new = (
            httpx2.get(f"{runtime.public}/x", headers={"x-api-key": key}).status_code
            for key in (ALICE, "another-key")
        )

    assert (old, new) == (401, 404)


def refused(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


@pytest.mark.requirement("A2", "W5")
def test_without_a_key_it_does_not_start_and_says_which_variables_give_one(tmp_path: Path) -> None:
    result = refused(tmp_path)

    assert result.returncode == 2
    assert "BREAKWATER_KEY: there is no key; set BREAKWATER_KEY or" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.requirement("W5")
def test_a_key_that_is_none_is_refused_without_repeating_it(tmp_path: Path) -> None:
    result = refused(tmp_path, BREAKWATER_KEY="open sesame")

    assert result.returncode == 2
    assert "BREAKWATER_KEY/default: line 1: not one key; accepted: " in result.stderr
    assert "sesame" not in result.stderr


@pytest.mark.requirement("K1")
async def test_anonymous_callers_get_in_by_the_long_word_only(tmp_path: Path) -> None:
    with running(tmp_path, BREAKWATER_ACCESS_INSECURE_ANONYMOUS="true") as runtime:
        response = httpx2.get(f"{runtime.public}/x")

    assert response.status_code == 404
    assert "anybody may use this server" in runtime.log.read_text()


def test_with_a_file_variables_are_named_as_not_read(tmp_path: Path) -> None:
    content = {
        "backends": [{"python": {"server": "weather:mcp"}}],
        "live": {"keysDirectory": "keys"},
    }
    (tmp_path / "keys").mkdir()
    (tmp_path / "config.json").write_text(json.dumps(content))

    result = subprocess.run(
        [sys.executable, COMMAND, "--config", "config.json"],
        cwd=tmp_path,
        env=environment(tmp_path, BREAKWATER_KEY=ALICE),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )

    assert result.returncode == 2
    warning = json.loads(result.stderr.splitlines()[0])
    assert warning["variables"] == ["BREAKWATER_BACKEND_PYTHON_SERVER", "BREAKWATER_KEY"]
    assert ALICE not in result.stderr
