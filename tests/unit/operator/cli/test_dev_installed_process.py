"""`breakwater dev` as it is installed: from the wheel, far from any checkout."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from breakwater_operator.render.containers import HELPER
from dev.images.target import ROOT
from dev.images.wheels import own
from tests.support.children import descendants
from tests.unit.operator.cli.test_dev_containers_process import KEY, SERVER, manifest, stdio
from tests.unit.operator.cli.test_dev_process import call, client, developing

pytestmark = pytest.mark.process

UV = str(Path(sys.executable).with_name("uv"))


def installed(folder: Path) -> Path:
    """Install the wheel with what the lock names, as a user would; the folder of its programs."""
    venv = folder / "venv"
    python = ("--python", str(venv / "bin/python"), "--quiet")
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    locked = ("--require-hashes", "--requirements", str(ROOT / "requirements/runtime.txt"))
    subprocess.run([UV, "pip", "install", *python, *locked], check=True)
    wheel = str(own(folder, None))
    subprocess.run([UV, "pip", "install", *python, "--no-deps", wheel], check=True)
    return venv / "bin"


def program_of(pid: int) -> str:
    """Say which file a process was started from."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()


@pytest.mark.requirement("K8", "A5")
async def test_a_command_is_served_by_what_is_in_the_wheel(tmp_path: Path) -> None:
    programs = installed(tmp_path)
    (tmp_path / "server.py").write_text(SERVER)
    path = f"{programs}:{os.defpath}"

    with developing(
        tmp_path, manifest(stdio()), path=path, command=str(programs / "breakwater")
    ) as dev:
        await dev.later("is served at")
        async with client(dev, KEY) as connected:
            found = json.loads(await call(connected, "where"))
        programs_run = [program_of(pid) for pid in descendants(dev.process.pid)]

    assert found["says"] == "one"
    helpers = {Path(program).name for program in programs_run if HELPER in program}
    assert {name.rpartition("-")[0] for name in helpers} == {HELPER}  # compiled on the spot
    assert not [program for program in programs_run if str(ROOT) in program]
