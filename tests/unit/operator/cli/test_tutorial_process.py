"""The tutorial, done as it is written: its files, its commands, what it says they answer."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.operator.cli.test_dev_process import BOUND_SECONDS, COMMAND, developing

pytestmark = [pytest.mark.process, pytest.mark.requirement("K8")]

PAGE = (Path(__file__).parents[4] / "docs/tutorials/first-call.md").read_text()
PORT = "127.0.0.1:8080"


def file(name: str) -> str:
    """Get the block of code behind the mention of a file."""
    (text,) = re.findall(
        rf"^`{re.escape(name)}`.*?^```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE
    )
    return str(text)


def ran(folder: Path, *command: str, **variables: str) -> str:
    ended = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.defpath, **variables},
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def test_what_the_tutorial_says_happens(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(file("hello.py"))
    manifest = file("mcpserver.yaml")
    (tmp_path / "mcpserver.yaml").write_text(manifest)

    assert "hello: good" in ran(tmp_path, COMMAND, "validate", "mcpserver.yaml")
    with developing(tmp_path, manifest) as dev:
        dev.until_said("key (shown once)")
        said = dev.said()
        program = file("call.py")
        assert PORT in program
        (tmp_path / "call.py").write_text(program.replace(PORT, f"127.0.0.1:{dev.port}"))
        answer = ran(tmp_path, sys.executable, "call.py", KEY=dev.key)

        # What it prints is what the page shows, but for ports and the key.
        for line in re.findall(r"^    breakwater: (.*)", PAGE, re.MULTILINE):
            beginning = re.split(r"http|\.\.\.", line)[0]
            assert any(each.startswith(beginning) for each in said), line

        (tmp_path / "hello.py").write_text(file("hello.py").replace("Hello", "Good day"))
        dev.until_said("ready again")
        again = ran(tmp_path, sys.executable, "call.py", KEY=dev.key)
        code = dev.stop()

    assert (answer.strip(), again.strip(), code) == ("Hello, world!", "Good day, world!", 0)
    assert "prints `Hello, world!`" in PAGE
