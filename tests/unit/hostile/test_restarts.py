"""A command that is killed again and again: every call is answered, and nothing is left behind."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from breakwater_runtime.backends.container import ContainerBackend
from breakwater_runtime.calls import RpcError
from tests.support import children
from tests.support.children import Helper
from tests.support.rig.proof import Proof, slope
from tests.unit.runtime import containers
from tests.unit.runtime.containers import eventually, text, tool

pytestmark = pytest.mark.process

CALLERS = 50
CALLS = 2
"""Of each caller while one child is killed."""

ANSWER_SECONDS = 60
"""After which a call counts as lost; the page says how long the slowest took."""

GROWTH_BYTES_MAX = 2_000_000
"""Per 10,000 calls with 100 restarts, after the first of them."""


class Killing:
    """A server that is asked by many while its process is killed."""

    def __init__(self, backend: ContainerBackend, helper: Helper) -> None:
        self._backend = backend
        self._helper = helper
        self._random = random.Random(1)
        self._number = 0
        self._slowest = 0.0
        self.came_of_it: Counter[str] = Counter()

    async def kill(self, times: int) -> dict[str, Any]:
        """Kill the child so often, at any moment, and say what came of the calls."""
        for _ in range(times):
            await containers.well(self._backend)
            asking = [asyncio.ensure_future(self._ask()) for _ in range(CALLERS)]
            await asyncio.sleep(self._random.uniform(0, 0.02))
            for pid in self._commands():
                os.kill(pid, signal.SIGKILL)
            await asyncio.gather(*asking)
        await containers.well(self._backend)
        return {
            "calls": dict(self.came_of_it),
            "slowest": self._slowest,
            "rss": _rss_bytes(os.getpid()),
            "helper": _rss_bytes(self._helper.process.pid),
            "files": _files(os.getpid()),
            "helper_files": _files(self._helper.process.pid),
        }

    def _commands(self) -> list[int]:
        keepers = children.children_of(self._helper.process.pid)
        return [pid for keeper in keepers for pid in children.children_of(keeper)]

    async def _ask(self) -> None:
        for _ in range(CALLS):
            self._number += 1
            mine, began = f"call {self._number}", time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    said = await text(self._backend, tool("echo", text=mine))
                self.came_of_it["answered" if said == mine else "answered wrong"] += 1
            except RpcError as error:
                self.came_of_it[error.data["code"]] += 1
            self._slowest = max(self._slowest, time.monotonic() - began)


async def run(folder: Path, proof: Proof) -> None:
    """Kill as often as a proof says."""
    with children.helper(folder, containers.LEAN) as helper:
        async with containers.backend(helper, isolation="Shared") as backend:
            for _ in proof.parts():
                killing = Killing(backend, helper)
                proof.keep(await killing.kill(proof.part))
        await eventually(lambda: not helper.descendants())


def check(proof: Proof) -> Counter[str]:
    """Hold what came of all calls against what must, and count it."""
    came_of_it: Counter[str] = Counter()
    for part in proof.done:
        came_of_it.update(part["calls"])
    assert came_of_it.keys() <= {"answered", "SERVER_UNAVAILABLE"}
    assert came_of_it.total() == proof.total * CALLERS * CALLS
    assert came_of_it["answered"] > came_of_it["SERVER_UNAVAILABLE"]
    return came_of_it


@pytest.mark.requirement("A5")
async def test_every_call_is_answered_while_the_child_is_killed(tmp_path: Path) -> None:
    proof = Proof("restarts-in-short", 60, part=60, states=tmp_path)

    await run(tmp_path, proof)

    check(proof)


@pytest.mark.prove
@pytest.mark.requirement("A5", "T17")
async def test_a_thousand_restarts_leave_memory_and_files_as_they_were(
    tmp_path: Path, share: float
) -> None:
    proof = Proof("restarts", int(1_000 * share), part=100)

    await run(tmp_path, proof)
    came_of_it = check(proof)
    later = proof.done[1:]
    grew = slope([(at, part["rss"]) for at, part in enumerate(later)])
    helper_grew = slope([(at, part["helper"]) for at, part in enumerate(later)])

    assert max(grew, helper_grew) < GROWTH_BYTES_MAX
    assert max(part["files"] for part in later) <= proof.done[0]["files"] + CALLERS
    assert later[-1]["files"] <= proof.done[0]["files"]
    assert later[-1]["helper_files"] <= proof.done[0]["helper_files"]
    proof.write(
        "Restarts of a command",
        f"{CALLERS} callers share one child of a command, which is killed (SIGKILL) at any moment "
        "while all of them call; every call is answered, with its own result or with "
        "SERVER_UNAVAILABLE.",
        {
            "calls": f"{came_of_it.total():,}",
            "restarts": f"{proof.total:,}",
            "answered with SERVER_UNAVAILABLE": f"{came_of_it['SERVER_UNAVAILABLE']:,}",
            "answered wrong, or never": 0,
            "slowest answer": f"{max(part['slowest'] for part in proof.done):.1f} s",
            "runtime's growth per 10,000 calls": f"{grew / 1e6:.2f} MB (at most 2)",
            "helper's growth per 10,000 calls": f"{helper_grew / 1e6:.2f} MB (at most 2)",
            "open files, after 100 restarts and at the end": (
                f"{proof.done[0]['files']} and {later[-1]['files']}"
            ),
            "processes left": 0,
        },
    )


def _rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
