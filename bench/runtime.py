"""The runtime beside the servers that people would run instead, all in one run, in turn."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import (
    collector,
    forwarding,
    gateway,
    machine,
    peers,
    policies,
    startup,
    stdio,
    streams,
    sustained,
    wrk,
)
from bench.load import Rounds
from bench.measured import Measured, Series
from bench.processes import Cores, on_core, serving
from bench.runtime_report import report
from bench.wires import MODERN, OLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.load import Case
    from bench.peers import Peer
    from bench.processes import Server
    from bench.report import Options, Report

LIBRARIES = ("httptools", "mcp", "orjson", "pydantic", "starlette", "uvicorn", "uvloop")
CONNECTIONS = 32
SUSTAINED_CONNECTIONS = 500
SUSTAINED_PER_SECOND = 1000
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
    forwarding_rounds: int
    stdio_rounds: int
    gateway_rounds: int
    gateway_seconds: int
    policy_changes: int
    sustained_seconds: int


FULL = Plan(
    warm_up_seconds=1,
    rounds=4,
    round_seconds=2,
    latency_rounds=3,
    latency_seconds=2,
    streams=1000,
    idle_seconds=30,
    starts=5,
    forwarding_rounds=5,
    stdio_rounds=3,
    gateway_rounds=3,
    gateway_seconds=5,
    policy_changes=5,
    sustained_seconds=10,
)
"""About ten minutes; every idle stream gets a heartbeat. More rounds rather than longer
ones: what disturbs the machine for a moment then disturbs one round of each."""

QUICK = Plan(
    warm_up_seconds=0,
    rounds=1,
    round_seconds=1,
    latency_rounds=1,
    latency_seconds=1,
    streams=200,
    idle_seconds=3,
    starts=1,
    forwarding_rounds=1,
    stdio_rounds=1,
    gateway_rounds=1,
    gateway_seconds=2,
    policy_changes=1,
    sustained_seconds=2,
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
    peers.SDK_STATELESS_JSON: [(OLDER, "echo"), (OLDER, "pause")],
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
    peers.OURS_TRACED: [(MODERN, "echo")],
    peers.OURS_LOGGED: [(MODERN, "echo")],
}
"""By server: the era of the client and the tool that it calls."""

LATENCY_CASES: Mapping[int, Sequence[tuple[str, str]]] = {
    1: [
        (peers.FLOOR, MODERN),
        (peers.SDK_JSON, MODERN),
        (peers.FASTMCP_JSON, MODERN),
        (peers.OURS, MODERN),
        (peers.OURS, OLDER),
    ],
    256: [
        (peers.FLOOR, MODERN),
        (peers.SDK_JSON, MODERN),
        (peers.OURS, MODERN),
        (peers.OURS, OLDER),
    ],
    500: [(peers.OURS, MODERN)],
}
"""By connections: whose times are taken, with echo. At many, some peers answer nothing in time."""


def measure(options: Options) -> Report:
    """Measure everything about the runtime that has a figure."""
    plan = QUICK if options.quick else FULL
    wrk.install()
    versions = machine.versions(LIBRARIES) | peers.install() | stdio.install() | wrk.version()
    streams.allow_files(plan.streams)
    cores = Cores.pick()
    with (
        tempfile.TemporaryDirectory(prefix="breakwater-bench-") as name,
        on_core(cores.load),
        collector.collecting() as url,
    ):
        folder = Path(name)
        servers = {peer.name: peer for peer in peers.everyone(folder, url)}
        calls, latency = _load(servers, plan, cores)
        ours = servers[peers.OURS]
        listening = (servers[peers.SDK], ours, peers.ours_with_tls(folder))
        measured = Measured(
            calls=calls,
            latency=latency,
            idle=[_idle(peer, plan, cores) for peer in listening],
            sustained=_sustained(ours, plan, cores),
            hop=_hop(folder, plan, cores),
            stdio=(bridged := _stdio(folder, plan, cores)),
            gateway=_gateway(folder, plan, cores),
            policies=_policies(folder, plan, cores),
            ready_seconds=_starts(ours, plan, cores),
            plain_ready_seconds=_plain_starts(folder, plan, cores),
            import_seconds=[
                startup.import_seconds(BACKEND_MODULE, cores.server) for _ in range(plan.starts)
            ],
            peers=[*servers.values(), *dict.fromkeys(one.peer for one in bridged)],
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
        latency = [
            series
            for connections, asked in LATENCY_CASES.items()
            for series in _series([_echo(cases, *each) for each in asked], connections)
        ]
        _rounds(rounds, running, latency, plan.latency_rounds, plan.latency_seconds)
    return calls, latency


def _echo(cases: Iterable[Case], name: str, era: str) -> Case:
    return next(
        case for case in cases if (case.peer.name, case.era, case.tool) == (name, era, "echo")
    )


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


def _sustained(peer: Peer, plan: Plan, cores: Cores) -> sustained.Sustained:
    print(f"{SUSTAINED_PER_SECOND} calls a second: {peer.name}", flush=True)
    with serving(peer.command, port=peer.port, core=cores.server):
        return sustained.measure(
            peer,
            connections=SUSTAINED_CONNECTIONS,
            per_second=SUSTAINED_PER_SECOND,
            seconds=plan.sustained_seconds,
        )


def _hop(folder: Path, plan: Plan, cores: Cores) -> forwarding.Hop:
    print("forwarding between two replicas", flush=True)
    return forwarding.measure(
        folder, cores, rounds=plan.forwarding_rounds, seconds=plan.latency_seconds
    )


def _stdio(folder: Path, plan: Plan, cores: Cores) -> list[stdio.Bridged]:
    print("a child over stdio behind HTTP", flush=True)
    return stdio.measure(folder, cores, rounds=plan.stdio_rounds, seconds=plan.round_seconds)


def _gateway(folder: Path, plan: Plan, cores: Cores) -> list[gateway.Overhead]:
    print(f"a gateway of {gateway.REMOTES} remote backends", flush=True)
    return gateway.measure(folder, cores, rounds=plan.gateway_rounds, seconds=plan.gateway_seconds)


def _policies(folder: Path, plan: Plan, cores: Cores) -> policies.Found:
    print(f"{policies.RULES} policies", flush=True)
    return policies.measure(folder, cores, changes=plan.policy_changes)


def _starts(peer: Peer, plan: Plan, cores: Cores) -> list[float]:
    print(f"start to ready: {peer.name}", flush=True)
    return [startup.ready_seconds(peer, cores.server) for _ in range(plan.starts)]


def _plain_starts(folder: Path, plan: Plan, cores: Cores) -> list[float]:
    """Start in front of a container, whose helper is there before as the kubelet has it."""
    own = folder / "start"
    own.mkdir()
    with stdio.child(own, cores) as helper:
        return _starts(stdio.front(own, "Breakwater, container", helper), plan, cores)
