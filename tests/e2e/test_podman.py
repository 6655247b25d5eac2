"""Without Kubernetes, in containers: the Compose example, and `breakwater dev` with images."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import yaml
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from breakwater_operator.cli.certificates import Authority
from tests.support.cluster import eventually
from tests.support.podman import Podman, podman
from tests.unit.operator.cli.test_dev_process import Dev, call, client, developing
from tests.unit.runtime.test_process import reserved

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PUBLISHED = ("127.0.0.1:8443:8080", "127.0.0.1:9464:9464")
SECONDS_MAX = 90
NAMES = ("runtime", "notes-server")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    with podman(tmp_path_factory.mktemp("podman")) as made:
        yield made


@pytest.fixture(scope="module")
def images(engine: Podman) -> dict[str, str]:
    """Build the images, and have the engine know them; their names are given."""
    build = [sys.executable, "-m", "dev.images", "build", "-o", "json", *NAMES]
    done = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    built = json.loads(done.stdout)
    for name in NAMES:
        engine.run("load", "--quiet", "--input", built[name]["tar"])
    return {name: built[name]["ref"] for name in NAMES}


def prepare(folder: Path, ports: tuple[int, int]) -> Path:
    """Copy the examples, make the secrets, and have other ports published."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    compose = folder / "examples/compose"
    file = compose / "compose.yaml"
    text = file.read_text()
    for published, port in zip(PUBLISHED, ports, strict=True):
        inside = published.rpartition(":")[2]
        assert published in text
        text = text.replace(published, f"127.0.0.1:{port}:{inside}")
    file.write_text(text)
    secrets = compose / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "keys").write_text("alice=alices-key billing-bot=bots-key\n")
    (secrets / "admin-key").write_text("admins-key\n")
    now = datetime.now(UTC)  # noqa: TID251 - clients look at the real clock
    Authority.make(folder / "ca", now).vouch(["localhost"], secrets, now)
    for file in secrets.iterdir():
        file.chmod(0o600)
    return compose


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.requirement("A11", "T1")
async def test_the_compose_example_serves_and_drains(
    engine: Podman, images: dict[str, str], tmp_path: Path
) -> None:
    with reserved() as ports:
        folder = prepare(tmp_path, ports)
    run_as = f"{os.getuid()}:{os.getgid()}"
    engine.compose(folder, "up", "--detach", RUN_AS=run_as, RUNTIME_IMAGE=images["runtime"])
    management = f"http://127.0.0.1:{ports[1]}"
    eventually(lambda: answers(f"{management}/ready"), "the server is ready", seconds=SECONDS_MAX)
    (container,) = engine.run("ps", "--quiet").split()
    trust = ssl.create_default_context(cafile=tmp_path / "ca/ca.crt")
    headers = {"x-api-key": "bots-key"}

    url = f"https://localhost:{ports[0]}/mcp"
    async with (
        httpx2.AsyncClient(headers=headers, timeout=SECONDS_MAX, verify=trust) as http,
        Client(streamable_http_client(url, http_client=http)) as connected,
    ):
        profile = await connected.call_tool("pressure_profile", {"altitudes": [0]})
    refused = httpx2.get(url, verify=trust)
    details = httpx2.get(f"{management}/health", headers={"x-api-key": "admins-key"})
    _, *check = service(folder)["healthcheck"]["test"]
    engine.run("exec", container, *check)
    (inspected,) = json.loads(engine.run("inspect", container))
    engine.run("stop", "--time", "30", container)
    ended = engine.run("inspect", "--format", "{{.State.ExitCode}}", container)
    engine.compose(folder, "down", RUN_AS=run_as, RUNTIME_IMAGE=images["runtime"])

    assert not profile.is_error
    assert refused.status_code == 401
    assert "backends" in details.json()
    assert inspected["HostConfig"]["ReadonlyRootfs"]
    assert not inspected["EffectiveCaps"]
    assert ended.strip() == "0"


def service(folder: Path) -> dict[str, Any]:
    (found,) = yaml.safe_load((folder / "compose.yaml").read_text())["services"].values()
    return dict(found)


@pytest.mark.requirement("A5", "K8")
@pytest.mark.parametrize("file", ["stdio.yaml", "http.yaml"])
async def test_an_image_is_run_on_this_machine(
    engine: Podman, images: dict[str, str], tmp_path: Path, file: str
) -> None:
    example = yaml.safe_load((ROOT / "examples/notes-server" / file).read_text())
    container = example["spec"]["backends"][0]["container"]
    container["image"] = images["notes-server"]
    if "port" in container:
        with reserved() as (port, _):
            container |= {"port": port, "args": ["--port", str(port)]}

    with developing(tmp_path, yaml.safe_dump(example), "--images", path=engine.path) as dev:
        await dev.later("key (shown once)")
        counts = [await note(dev, text) for text in ("one", "two")]
        if "stdio" in container:  # whoever restarts that one has its tests without an engine
            engine.run("kill", "--all")
            eventually(lambda: engine.run("ps", "--quiet"), "it runs again", seconds=SECONDS_MAX)
        code = dev.stop(signal.SIGINT)

    assert [count.split()[0] for count in counts] == ["1", "2"]
    assert code == 0
    assert engine.run("ps", "--all", "--quiet") == ""


async def note(dev: Dev, text: str) -> str:
    async with client(dev, dev.key) as connected:
        return await call(connected, "keep", text=text)
