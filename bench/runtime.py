"""The runtime beside the servers that people would run instead, all in one run, in turn."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import machine, peers, startup, streams, wrk
from bench.load import Rounds
from bench.processes import Cores, on_core, serving
from bench.runtime_report import Measured, Series, report
from bench.wires import MODERN, OLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.load import Case
    from bench.peers import Peer
    from bench.processes import Server
    from bench.report import Options, Report

LIBRARIES = ("httptools", "mcp", "orjson", "pydantic", "starlette", "uvicorn", "uvloop")
CONNECTIONS = 32
LATENCY_CONNECTIONS = (1, 256)
BACKEND_MODULE = peers.OBJECT.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything takes."""

    warm_up_seconds: int
    rounds: int
    round_seconds: int
    latency_rounds: int
    latency_seconds: int
    streams: int
    idle_seconds: float
    starts: int


FULL = Plan(
    warm_up_seconds=1,
    rounds=6,
    round_seconds=2,
    latency_rounds=3,
    latency_seconds=2,
    streams=1000,
    idle_seconds=20,
    starts=7,
)
"""About eight minutes. More rounds rather than longer ones: what disturbs the machine for a moment
then disturbs one round of each."""

QUICK = Plan(
    warm_up_seconds=0,
    rounds=1,
    round_seconds=1,
    latency_rounds=1,
    latency_seconds=1,
    streams=200,
    idle_seconds=3,
    starts=1,
)

CASES: Mapping[str, Sequence[tuple[str, str]]] = {
    peers.FLOOR: [(MODERN, "echo")],
    peers.SDK_JSON: [
        (MODERN, "echo"),
        (MODERN, "pause"),
        (MODERN, "describe"),
        (OLDER, "echo"),
        (OLDER, "pause"),
    ],
    peers.SDK: [(MODERN, "echo"), (OLDER, "echo"), (OLDER, "pause")],
    peers.SDK_STATELESS_JSON: [(OLDER, "echo")],
    peers.SDK_STATELESS: [(OLDER, "echo")],
    peers.FASTMCP_JSON: [
        (MODERN, "echo"),
        (MODERN, "pause"),
        (MODERN, "describe"),
        (OLDER, "echo"),
    ],
    peers.FASTMCP: [(MODERN, "echo"), (OLDER, "echo")],
    peers.OURS: [
        (MODERN, "echo"),
        (MODERN, "pause"),
        (MODERN, "describe"),
        (OLDER, "echo"),
        (OLDER, "pause"),
    ],
}
"""By server: the era of the client and the tool that it calls."""

LATENCY_CASES = {
    (peers.FLOOR, MODERN),
    (peers.SDK_JSON, MODERN),
    (peers.FASTMCP_JSON, MODERN),
    (peers.OURS, MODERN),
    (peers.OURS, OLDER),
}
"""Whose times are taken with one and with many connections, with echo."""

STREAM_PEERS = (peers.SDK, peers.OURS)


def measure(options: Options) -> Report:
    """Measure everything about the runtime that has a figure."""
    plan = QUICK if options.quick else FULL
    wrk.install()
    versions = machine.versions(LIBRARIES) | peers.install() | wrk.version()
    streams.allow_files(plan.streams)
    cores = Cores.pick()
    with tempfile.TemporaryDirectory(prefix="breakwater-bench-") as folder, on_core(cores.load):
        servers = {peer.name: peer for peer in peers.everyone(Path(folder))}
        calls, latency = _load(servers, plan, cores)
        measured = Measured(
            calls=calls,
            latency=latency,
            idle=[_idle(servers[name], plan, cores) for name in STREAM_PEERS],
            ready_seconds=_starts(servers[peers.OURS], plan, cores),
            import_seconds=[
                startup.import_seconds(BACKEND_MODULE, cores.server) for _ in range(plan.starts)
            ],
            peers=list(servers.values()),
        )
    return report(measured, versions)


def _load(
    servers: Mapping[str, Peer], plan: Plan, cores: Cores
) -> tuple[list[Series], list[Series]]:
    """Put load on all servers in turn; all of them run all the time, and the others are idle."""
    rounds = Rounds()
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(serving(peer.command, port=peer.port, core=cores.server))
            for name, peer in servers.items()
        }
        cases = [
            rounds.prepare(servers[name], era, tool)
            for name, asked in CASES.items()
            for era, tool in asked
        ]
        if plan.warm_up_seconds:
            _rounds(rounds, running, _series(cases, CONNECTIONS), 1, plan.warm_up_seconds)
        calls = _series(cases, CONNECTIONS)
        _rounds(rounds, running, calls, plan.rounds, plan.round_seconds)
        timed = [
            case
            for case in cases
            if (case.peer.name, case.era) in LATENCY_CASES and case.tool == "echo"
        ]
        latency = [
            series for connections in LATENCY_CONNECTIONS for series in _series(timed, connections)
        ]
        _rounds(rounds, running, latency, plan.latency_rounds, plan.latency_seconds)
    return calls, latency


def _series(cases: Iterable[Case], connections: int) -> list[Series]:
    return [Series(case, connections, []) for case in cases]


def _rounds(
    rounds: Rounds,
    running: Mapping[str, Server],
    series: Sequence[Series],
    times: int,
    seconds: int,
) -> None:
    for number in range(times):
        print(f"round {number + 1} of {times}: {len(series)} cases", flush=True)
        for one in series:
            server = running[one.case.peer.name]
            one.samples.append(
                rounds.run(one.case, server, connections=one.connections, seconds=seconds)
            )


def _idle(peer: Peer, plan: Plan, cores: Cores) -> tuple[Peer, streams.Idle]:
    print(f"{plan.streams} idle streams: {peer.name}", flush=True)
    with serving(peer.command, port=peer.port, core=cores.server) as server:
        idle = streams.measure(peer, server, streams=plan.streams, seconds=plan.idle_seconds)
    return peer, idle


def _starts(peer: Peer, plan: Plan, cores: Cores) -> list[float]:
    print(f"start to ready: {peer.name}", flush=True)
    return [startup.ready_seconds(peer, cores.server) for _ in range(plan.starts)]
