"""A runtime process that is attacked: its tools, its settings, its log and its memory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.python_path import python_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMAND = str(Path(sys.executable).with_name("breakwater-runtime"))

BOUND_SECONDS = 60.0
"""How long anything may take on a busy machine; never what a test is about."""

KEY = "good-key-0123456789abcdef"
EXPIRED_KEY = "expired-key-0123456789abcdef"
OFTEN = 60_000_000
"""A rate that no test reaches."""

MODULE = """
import asyncio, ctypes, gc, json, time
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

mcp = MCPServer("target")
running = {"async": 0, "sync": 0, "begun": 0}
meeting = []

@mcp.tool()
async def echo(text: str) -> str:
    return text

@mcp.tool()
async def later(text: str) -> str:
    meeting.append(text)
    while len(meeting) % 100:
        await asyncio.sleep(0.01)
    return text

@mcp.tool()
async def fail() -> str:
    raise ToolError("it fails")

@mcp.tool()
async def large(size: int) -> str:
    return "x" * size

@mcp.tool()
async def wait(seconds: float) -> str:
    running["async"] += 1
    running["begun"] += 1
    try:
        await asyncio.sleep(seconds)
        return "waited"
    finally:
        running["async"] -= 1

@mcp.tool()
async def talk(seconds: float, ctx: Context) -> str:
    running["async"] += 1
    running["begun"] += 1
    try:
        await ctx.report_progress(1, 2, "begun")
        await asyncio.sleep(seconds)
        await ctx.report_progress(2, 2, "done")
        return "talked"
    finally:
        running["async"] -= 1

@mcp.tool()
def block(seconds: float) -> str:
    running["sync"] += 1
    running["begun"] += 1
    try:
        time.sleep(seconds)
        return "blocked"
    finally:
        running["sync"] -= 1

@mcp.tool()
async def settle() -> int:
    found = gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return found

@mcp.tool()
async def count() -> str:
    return json.dumps(running)
"""

TRACEBACK = re.compile(r"Traceback|\"level\": ?\"(error|critical)\"|exc_info", re.IGNORECASE)
KEPT_LINES = 200
SHOWN_CHARACTERS = 3000


@dataclass
class Log:
    """What the process says, without keeping all of it."""

    lines: int = 0
    audited: int = 0
    """Events of the audit stream."""
    faults: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    """The last lines that speak of a failure."""
    last: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    secrets: set[str] = field(default_factory=set)
    """What must not be said."""
    leaked: set[str] = field(default_factory=set)
    """What of that was."""

    def read(self, lines: Iterator[str]) -> None:
        """Read up to the end."""
        for line in lines:
            self.lines += 1
            self.last.append(line)
            if '"breakwater.audit"' in line:
                self.audited += 1
            self.leaked.update(secret for secret in self.secrets if secret in line)
            if TRACEBACK.search(line):
                self.faults.append(line)

    def text(self) -> str:
        """What was said last."""
        return "".join(self.last)[-SHOWN_CHARACTERS:]


@dataclass
class Target:
    """A process under attack."""

    process: subprocess.Popen[str]
    port: int
    management_port: int
    log: Log

    def until(self, condition: Callable[[], object], seconds: float = BOUND_SECONDS) -> None:
        """Wait for something, with a bound.

        Raises:
            AssertionError: The process ended, or its time is up.
        """
        end = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(f"exit code {self.process.returncode}: {self.log.text()}")
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {self.log.text()}")
            time.sleep(0.02)

    def rss_bytes(self) -> int:
        """Get how much of its memory is resident."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def metric(self, name: str, **labels: str) -> float:
        """Get a sample, or the sum of those that have these labels."""
        url = f"http://127.0.0.1:{self.management_port}/metrics.json"
        with urllib.request.urlopen(url, timeout=BOUND_SECONDS) as response:
            families = json.load(response)["metrics"]
        found: float = sum(
            sample["value"]
            for family in families
            for sample in family["samples"]
            if sample["name"] == name and labels.items() <= sample.get("labels", {}).items()
        )
        return found

    def is_ready(self) -> bool:
        """Say whether it says so."""
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{self.management_port}/ready"
            with urllib.request.urlopen(url, timeout=5) as response:
                return bool(response.status == 200)
        return False

    def assert_well(self) -> None:
        """Check that it lives and has logged no failure."""
        assert self.process.poll() is None, self.log.text()
        assert not self.log.faults, "".join(self.log.faults)[:SHOWN_CHARACTERS]


@contextmanager
def attacked(
    folder: Path,
    *,
    limits: dict[str, Any] | None = None,
    access: dict[str, Any] | None = None,
    live: dict[str, Any] | None = None,
) -> Iterator[Target]:
    """Run a runtime until the end of the block."""
    with _ports() as ports:
        _prepare(folder, ports, limits or {}, access or {}, live or {})
        process = subprocess.Popen(
            [COMMAND, "--config", str(folder / "config.json")],
            env={"PATH": os.defpath, "PYTHONPATH": python_path(folder)},
            stderr=subprocess.PIPE,
            text=True,
        )
        log = Log()
        assert process.stderr is not None
        reading = threading.Thread(target=log.read, args=(iter(process.stderr),), daemon=True)
        reading.start()
        target = Target(process, *ports, log)
        try:
            target.until(target.is_ready)
            yield target
        finally:
            process.kill()
            process.wait()
            reading.join(BOUND_SECONDS)
            process.stderr.close()


@contextmanager
def _ports() -> Iterator[tuple[int, int]]:
    """Reserve two ports: bound and not listening, so that the runtime and nobody else gets them."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        yield first.getsockname()[1], second.getsockname()[1]


def _prepare(
    folder: Path,
    ports: tuple[int, int],
    limits: dict[str, Any],
    access: dict[str, Any],
    live: dict[str, Any],
) -> None:
    (folder / "target.py").write_text(MODULE)
    (folder / "keys").mkdir(exist_ok=True)
    (folder / "keys/alice").write_text(f"{KEY}\n{EXPIRED_KEY} expires=2026-01-01T00:00:00Z\n")
    settings = {
        "server": {"name": "target"},
        "backends": [{"python": {"server": "target:mcp"}}],
        "listen": {"publicPort": ports[0], "managementPort": ports[1]},
        "live": {
            "keysDirectory": "keys",
            "endpoints": ["StreamableHTTP", "SSE", "JSONRPC", "REST"],
            "access": {"failuresPerMinute": 100_000} | access,
            "limits": {"requestsPerMinute": {"principal": OFTEN}} | limits,
            **live,
        },
    }
    (folder / "config.json").write_text(json.dumps(settings))
