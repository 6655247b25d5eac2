"""What ten thousand policies cost: each decision, and a change of them in a running process."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from bench import peers, wires
from bench.processes import POLL_SECONDS, ProcessError, serving
from bench.steady import percentile
from breakwater_contract.settings import LiveSettings
from breakwater_runtime.calls import Principal
from breakwater_runtime.settings import parse
from breakwater_runtime.tools.policy import Policies

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bench.peers import Peer
    from bench.processes import Cores

RULES = 10_000
CALLERS = 100
TOOLS = 100
LIVE = "live.json"
CHANGE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured."""

    cached_p99_us: float
    cold_p99_us: float
    in_force_seconds: list[float]
    """From the file's change until a call is decided by it."""


def rules(denied: str) -> list[dict[str, object]]:
    """Make policies of every kind: for one caller or many, one tool or many, with scopes or not."""
    made: list[dict[str, object]] = [
        {"name": "bench", "effect": "Allow", "principals": ["bench"], "tools": ["*"]},
        {"name": "denied", "effect": "Deny", "principals": ["bench"], "tools": [denied]},
    ]
    for number in range(RULES - len(made)):
        team, tool = number % CALLERS, number % TOOLS
        kinds = (
            {"principals": [f"team-{team}-*"], "tools": [f"tool-{tool}"]},
            {"principals": [f"team-{team}-{number % 7}"], "tools": [f"tool-{tool // 10}*"]},
            {"principals": ["*"], "tools": [f"*-{number}"]},
            {"principals": [f"*-{number % 7}"], "tools": [f"tool-{tool}"], "scopes": [f"s{team}"]},
        )
        effect = "Deny" if number % 10 == 0 else "Allow"
        made.append({"name": f"rule-{number}", "effect": effect, **kinds[number % len(kinds)]})
    return made


def measure(folder: Path, cores: Cores, *, changes: int) -> Found:
    """Decide with policies out of a settings file, and change them under a running process."""
    own = folder / "policies"
    peer = peers.ours(folder, own.name)
    config = own / "config.json"
    said = json.loads(config.read_text())
    del said["live"]
    config.write_text(json.dumps({**said, "liveFile": LIVE}))
    _write(own, "pause")
    cached, cold = decisions(own / LIVE)
    with serving(peer.command, port=peer.port, core=cores.server):
        _until(peer, allowed=True)
        waits = [_change(own, peer, allowed=bool(number % 2)) for number in range(changes)]
    return Found(cached, cold, waits)


def decisions(live: Path) -> tuple[float, float]:
    """Get the 99th percentile of decisions that are remembered, and of those that are not."""
    access = parse(LiveSettings, live.read_bytes(), live.name).access
    policies = Policies(access.policies)
    callers = [Principal(f"team-{number}-{number % 7}") for number in range(CALLERS)]
    asked = [*product(callers, [f"tool-{number}" for number in range(TOOLS)])]
    cold = [_decide(policies, *each) for each in asked]
    cached = [_decide(policies, *each) for each in asked]
    return percentile(cached, 0.99) / 1e3, percentile(cold, 0.99) / 1e3


def _decide(policies: Policies, principal: Principal, tool: str) -> int:
    begin = time.perf_counter_ns()
    policies.decide(principal, "main", tool)
    return time.perf_counter_ns() - begin


def _write(folder: Path, denied: str) -> None:
    """Put the file there as a volume does: all of it at one moment."""
    live = {**peers.live_settings(), "access": {"policies": rules(denied)}}
    new = folder / "new.json"
    new.write_text(json.dumps(live))
    new.rename(folder / LIVE)


def _change(folder: Path, peer: Peer, *, allowed: bool) -> float:
    _write(folder, "pause" if allowed else "echo")
    begin = time.perf_counter()
    _until(peer, allowed=allowed)
    return time.perf_counter() - begin


def _until(peer: Peer, *, allowed: bool) -> None:
    end = time.monotonic() + CHANGE_SECONDS
    for is_allowed in _asked(peer):
        if is_allowed is allowed:
            return
        if time.monotonic() > end:
            raise ProcessError(f"{peer.name}: policies are not in force after {CHANGE_SECONDS} s")
        time.sleep(POLL_SECONDS)


def _asked(peer: Peer) -> Iterable[bool]:
    """Call, again and again, and say each time whether that was allowed."""
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "echo", "arguments": {"text": "t"}, "_meta": wires.META},
    }
    headers = {**wires.modern_headers("tools/call", peer.headers), "Mcp-Name": "echo"}
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=30)
    try:
        while True:
            connection.request("POST", wires.MCP_PATH, json.dumps(message), headers)
            yield "result" in json.loads(connection.getresponse().read())
    finally:
        connection.close()
