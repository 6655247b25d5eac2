"""A cluster of fake nodes, an operator in it, and what is asked of both while they are measured."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.processes import ProcessError, Server, check, started
from breakwater_contract.metrics import API_REQUESTS
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.connection import connection
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import MCP_SERVER, Kind
from dev.cluster.api import Api
from dev.cluster.local import LocalCluster
from dev.cluster.provider import Size
from dev.cluster.settings import Settings
from tests.support.definitions import install_crd
from tests.support.ports import free_port

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

Object = dict[str, Any]

NAMESPACE = "scale"
IMAGE = "breakwater.local/runtime:bench"
FAKE_NODES = 20
AT_ONCE = 16
"""Requests at once: as many as the operator has passes."""

NAMESPACES = Kind("v1", "Namespace", "namespaces")
READY_SECONDS = 120.0
TOLD_SECONDS = 15.0
"""Between two words about how far a phase is."""

_BEGUN = time.monotonic()
REQUESTS = f"{API_REQUESTS.name}_total"
WRITES = frozenset({"create", "update", "patch", "delete"})


def say(words: str) -> None:
    """Tell whoever waits how far it is, and since when it runs."""
    minutes, seconds = divmod(int(time.monotonic() - _BEGUN), 60)
    print(f"[{minutes:2}:{seconds:02}] {words}", flush=True)


@contextmanager
def cluster(root: Path) -> Iterator[LocalCluster]:
    """Run a control plane with fake nodes, and the CRD in it."""
    made = LocalCluster(
        Settings.from_environment(),
        "bench-scale",
        size=Size.CONTROL_PLANE,
        fake_nodes=FAKE_NODES,
    )
    # What a run left that was killed would be measured too.
    made.down()
    try:
        made.up()
        with Api(made.kubeconfig) as api:
            install_crd(api, root)
            for name in (NAMESPACE, "raw", "foreign"):
                api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        yield made
    finally:
        made.down()


@dataclass
class Operator:
    """One that runs, and what it has done so far."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the process."""
        return Server(self.process.pid, self.port).cpu_seconds()

    @property
    def rss_mib(self) -> float:
        """Resident memory."""
        return Server(self.process.pid, self.port).rss_bytes() / 2**20

    @property
    def peak_rss_mib(self) -> float:
        """The most that was ever resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        return int(found[1]) / 1024 if found is not None else self.rss_mib

    def requests(self) -> Counter[tuple[str, str]]:
        """Requests to the API server so far, by verb and kind."""
        counted: Counter[tuple[str, str]] = Counter()
        for labels, value in re.findall(
            rf"^{REQUESTS}{{(.*)}} (.*)$", self._page(REQUESTS), re.MULTILINE
        ):
            of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            counted[of["verb"], of["kind"]] += int(float(value))
        return counted

    def series(self, *names: str) -> dict[str, float]:
        """Sums of some of the operator's own series over their labels, by name."""
        found: dict[str, float] = {}
        for name, value in re.findall(
            r"^(breakwater_\w+)(?:{.*})? (\S+)$", self._page(*names), re.MULTILINE
        ):
            found[name] = found.get(name, 0.0) + float(value)
        return found

    def _page(self, *names: str) -> str:
        """Ask for these series; the others would cost more than what is measured."""
        asked = urllib.parse.urlencode({"name[]": names}, doseq=True)
        url = f"http://127.0.0.1:{self.port}/metrics?{asked}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            text: str = answer.read().decode()
        return text

    def writes(self) -> Counter[tuple[str, str]]:
        """The same of what changes something, the Lease left out."""
        return Counter(
            {key: n for key, n in self.requests().items() if key[0] in WRITES and key[1] != "Lease"}
        )


@contextmanager
def operator(
    kubeconfig: Path, folder: Path, pods: Path, *, waits: bool = True
) -> Iterator[Operator]:
    """Run the operator for the whole cluster, with pods that only pretend to answer.

    Args:
        kubeconfig: How it reaches the cluster.
        folder: For its configuration.
        pods: The socket where it hears of pods, of `scale_pods.Volumes`.
        waits: Whether to wait until it is ready.
    """
    config = folder / "operator.yaml"
    images = {"runtime": IMAGE}
    config.write_text(json.dumps({"namespace": NAMESPACE, "images": images}))
    port = free_port()
    # As in an image: compiled once, by the first start, and not again with each.
    compiled = ["env", "-u", "PYTHONDONTWRITEBYTECODE", f"PYTHONPYCACHEPREFIX={folder}/compiled"]
    command = [*compiled, sys.executable, "-m", "bench.scale_operator", str(pods)]
    options = ["--config", str(config), "--kubeconfig", str(kubeconfig)]
    options += ["--http-port", str(port), "--identity", "bench"]
    core = max(os.sched_getaffinity(0))
    with started([*command, *options], core=core) as (process, log):
        # Both cores are the cluster's and the operator's alike.
        os.sched_setaffinity(process.pid, os.sched_getaffinity(0))
        if waits:
            wait_ready(port, lambda deadline: check(process, log, deadline))
        yield Operator(process, port)


def wait_ready(port: int, check_on: Callable[[float], None]) -> None:
    """Wait until an operator says that it is ready."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
        except OSError:
            check_on(deadline)
            time.sleep(0.01)
        else:
            return


@asynccontextmanager
async def client(kubeconfig: Path) -> AsyncIterator[KubeApi]:
    """A user of the cluster."""
    api = KubeApi(await connection(kubeconfig), lambda *_: None)
    try:
        yield api
    finally:
        await api.close()


async def _patiently(item: Any, do: Callable[[Any], Awaitable[Any]]) -> None:
    """Do something that may be done twice; once more where a busy machine gave no answer."""
    for wait in (1, 5, 15):
        try:
            await do(item)
        except ApiError as error:
            if error.status is not None and error.status < 500:
                raise
            await asyncio.sleep(wait)
        else:
            return
    await do(item)


async def side_by_side(
    items: Iterable[Any],
    do: Callable[[Any], Awaitable[Any]],
    at_once: int = AT_ONCE,
    what: str = "",
) -> None:
    """Do something with each, several at a time, and tell now and then how far that is."""
    turns = asyncio.Semaphore(at_once)
    done, told = 0, time.monotonic()

    async def one(item: Any) -> None:
        nonlocal done, told
        async with turns:
            await _patiently(item, do)
        done += 1
        if what and time.monotonic() - told > TOLD_SECONDS:
            told = time.monotonic()
            say(f"  {what}: {done}")

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))


def manifest(name: str, namespace: str = NAMESPACE, **spec: Any) -> Object:
    """Write the manifest of a server: a short one, where nothing else is said."""
    backends = [{"name": "main", "python": {"server": "weather.main:mcp"}}]
    return {
        "apiVersion": MCP_SERVER.api_version,
        "kind": MCP_SERVER.name,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"backends": backends} | spec,
    }


async def until(
    is_so: Callable[[], Awaitable[bool]], seconds: float, what: str, every: float = 0.5
) -> None:
    """Wait until something is so.

    Raises:
        ProcessError: It was not within the time.
    """
    deadline = time.monotonic() + seconds
    while not await _answered(is_so):
        if time.monotonic() > deadline:
            raise ProcessError(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(every)


async def _answered(is_so: Callable[[], Awaitable[bool]]) -> bool:
    """Ask; a busy machine that gives no answer has not said yes."""
    try:
        return await is_so()
    except ApiError as error:
        if error.status is not None and error.status < 500:
            raise
        return False


async def quiet(operator: Operator, seconds: float = 2.0, within: float = 300.0) -> None:
    """Wait until the operator has written nothing for a while.

    Raises:
        ProcessError: It went on writing.
    """
    deadline = time.monotonic() + within
    before, since = operator.writes(), time.monotonic()
    while time.monotonic() - since < seconds:
        await asyncio.sleep(0.25)
        now = operator.writes()
        if now != before:
            before, since = now, time.monotonic()
        if time.monotonic() > deadline:
            raise ProcessError(f"the operator was still writing after {within:.0f} s: {now}")
