"""The servers that are compared, and what is switched on in each."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.processes import ROOT
from dev import compiled
from tests.support.certificates import localhost_certificate
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BIN = Path(sys.executable).parent
ENVIRONMENT = ROOT / "build/bench/peers"
"""Where FastMCP is installed: its own environment, since development does without it."""

KEY = "bench-0123456789abcdef0123456789abcdef"
OBJECT = "bench.servers.objects:server"
RATE = 60_000_000
"""Requests per minute, the most that can be set: buckets are charged and never empty."""


@dataclass(frozen=True, eq=False)
class Peer:
    """A server under test."""

    name: str
    command: Sequence[str]
    port: int
    on: str
    """What is switched on, for readers."""
    headers: Mapping[str, str] = field(default_factory=dict)
    ready_port: int | None = None
    """Where it says that it is ready, where that is another port."""
    is_checked: bool = True
    certificate: Path | None = None
    """What its HTTPS is trusted by; None: it speaks HTTP."""


FLOOR = "raw ASGI constant"
SDK = "MCPServer, default"
SDK_JSON = "MCPServer, json_response"
SDK_STATELESS = "MCPServer, stateless_http"
SDK_STATELESS_JSON = "MCPServer, json_response and stateless_http"
FASTMCP = "FastMCP, default"
FASTMCP_JSON = "FastMCP, json_response"
OURS = "Breakwater"
OURS_TLS = "Breakwater, TLS"
OURS_TRACED = "Breakwater, traced"
OURS_LOGGED = "Breakwater, traced, every request logged"

FLOOR_ON = (
    "nothing: the same bytes for every request, what uvicorn, uvloop and httptools cost alone"
)
SDK_ON = "Host and Origin check, body limit, argument validation, OpenTelemetry without exporter"
FASTMCP_ON = "argument validation"
OURS_ON = (
    "keys, policies, rate limits (principal, replica, tool), Origin, Host and address checks, "
    "request id, security headers, metrics, audit, argument validation, time-outs, cancellation "
    "when the client leaves, limits of bodies, headers, connections, requests in flight; drain"
)
TRACED_ON = "the same, and traces with the default sampling and metrics, sent to a collector"
LOGGED_ON = f"{TRACED_ON}; a log line for every request, an audit line for every call"
LOGGED = {"logRequests": True, "audit": {"calls": True}}


def everyone(folder: Path, collector: str) -> list[Peer]:
    """Make all servers that load is put on; ours have their settings in `folder`."""
    return [
        _floor(),
        _sdk(SDK),
        _sdk(SDK_JSON, "--json"),
        _sdk(SDK_STATELESS, "--stateless"),
        _sdk(SDK_STATELESS_JSON, "--json", "--stateless"),
        _fastmcp(FASTMCP),
        _fastmcp(FASTMCP_JSON, "--json"),
        ours(folder, OURS),
        _observed(folder, OURS_TRACED, TRACED_ON, collector),
        _observed(folder, OURS_LOGGED, LOGGED_ON, collector, LOGGED),
    ]


def _floor() -> Peer:
    port = free_port()
    command = [sys.executable, "-m", "bench.servers.floor", str(port)]
    return Peer(FLOOR, command, port, FLOOR_ON, is_checked=False)


def _sdk(name: str, *options: str) -> Peer:
    port = free_port()
    command = [sys.executable, "-m", "bench.servers.sdk", str(port), *options]
    return Peer(name, command, port, SDK_ON)


def _fastmcp(name: str, *options: str) -> Peer:
    port = free_port()
    python = str(ENVIRONMENT / "bin/python")
    command = [python, "-m", "bench.servers.fastmcp_server", str(port), *options]
    return Peer(name, command, port, FASTMCP_ON)


def ours(folder: Path, name: str, *options: str, **settings: object) -> Peer:
    """Make the runtime with everything on; `settings` are those that are not as always."""
    own = folder / name
    keys = own / "keys"
    keys.mkdir(parents=True)
    (keys / "bench").write_text(KEY + "\n")
    public, management, internal = free_port(), free_port(), free_port()
    ports = {"publicPort": public, "managementPort": management, "internalPort": internal}
    config = own / "config.json"
    said = {
        "version": 1,
        "backends": [{"name": "main", "python": {"server": OBJECT}}],
        "listen": {"host": "127.0.0.1", **ports},
        "live": live_settings(),
        **settings,
    }
    config.write_text(json.dumps(said))
    # As its image has it: with the hot path compiled.
    path = f"PYTHONPATH={compiled.build()}:{ROOT}"
    command = ["env", path, str(BIN / "breakwater-runtime"), "--config", str(config), *options]
    return Peer(name, command, public, OURS_ON, {"X-API-Key": KEY}, management)


def _observed(
    folder: Path, name: str, on: str, collector: str, more: Mapping[str, object] | None = None
) -> Peer:
    """Make the runtime with all that it has for being looked at, sent to a collector."""
    live = {
        **live_settings(),
        "otlp": {"endpoint": collector, "metrics": "10s"},
        "monitoring": {"tracing": {}, **(more or {})},
    }
    return replace(ours(folder, name, live=live), on=on)


def ours_with_tls(folder: Path) -> Peer:
    """Make the runtime with HTTPS, by a certificate for localhost that vouches for itself."""
    certificate, key = localhost_certificate(folder)
    tls = {"certificateFile": str(certificate), "keyFile": str(key)}
    return replace(ours(folder, OURS_TLS, tls=tls), certificate=certificate)


def live_settings() -> dict[str, object]:
    """Switch everything on, and set no rate that a load generator would reach."""
    policies = [
        {"name": "bench", "effect": "Allow", "principals": ["bench"], "tools": ["*"]},
        {"name": "nobody-else", "effect": "Deny", "principals": ["other-*"], "tools": ["*"]},
    ]
    rates = {"principal": RATE, "replica": RATE, "tools": {"echo": RATE, "pause": RATE}}
    return {
        "version": 1,
        "keysDirectory": "keys",
        "access": {"policies": policies},
        "limits": {"requestsPerMinute": rates},
    }


def install() -> dict[str, str]:
    """Install the peer that development does without, and get its version.

    Raises:
        subprocess.CalledProcessError: It cannot be had; uv has said why.
    """
    return install_locked(ENVIRONMENT, "bench", "fastmcp")


def install_locked(environment: Path, lock: str, distribution: str) -> dict[str, str]:
    """Install what a lock names into an environment of its own, and get one version of it.

    Raises:
        subprocess.CalledProcessError: It cannot be had; uv has said why.
    """
    python = environment / "bin/python"
    if not python.exists():
        subprocess.run(
            [BIN / "uv", "venv", "--quiet", "--python", sys.executable, environment], check=True
        )
    # A moment where nothing has to change.
    source = str(ROOT / "requirements" / f"{lock}.txt")
    sync = ["pip", "sync", "--quiet", "--require-hashes", source, "--python", str(python)]
    subprocess.run([BIN / "uv", *sync], check=True)
    ask = f"from importlib.metadata import version; print(version({distribution!r}))"
    answer = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True)
    return {distribution: answer.stdout.strip()}
