"""Much of the same for long: many clients in closed loops, and what the server's memory does."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import uvloop

from tests.support.rig.line import Line, dial
from tests.support.rig.proof import slope
from tests.support.rig.requests import MODERN, Speaker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.rig.proof import Proof
    from tests.support.rig.target import Target

CLIENTS = 32

GROWTH_BYTES_MAX = 2_000_000
"""How much memory may grow over 100,000 requests or sessions, once everything is warm."""

WARM_UP = 20_000
"""How many it takes until caches, pools and the allocator have seen everything there is."""


class Client:
    """One client that goes on and on."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.random = random.Random(seed)
        self.left = 0
        self._line: Line | None = None

    async def line(self) -> Line:
        """Get its connection, a new one now and then."""
        if self._line is not None and self.random.random() < 0.01:
            self._line.close()
            self._line = None
        if self._line is None:
            self._line = await dial(self.port)
        return self._line

    def drop(self) -> None:
        """Leave in the middle of whatever it does."""
        if self._line is not None:
            self._line.reset()
            self._line = None

    def close(self) -> None:
        """Leave well."""
        if self._line is not None:
            self._line.close()
            self._line = None


def run(
    target: Target,
    proof: Proof,
    step: Callable[[Client], Awaitable[None]],
    *,
    rest_seconds: float = 0.0,
) -> None:
    """Do the parts of a proof that are left, each by many clients at once.

    Args:
        target: The server.
        proof: How much is to be done.
        step: What a client does again and again.
        rest_seconds: For how long the server remembers what has ended; it is looked at after that,
            or the machine's pace of the moment would show in its memory.
    """
    for part in proof.parts():
        uvloop.run(_part(target.port, step, proof.part, seed=part))
        time.sleep(rest_seconds)
        uvloop.run(_settle(target.port))
        target.assert_well()
        proof.keep({"pid": target.process.pid, "rss": target.rss_bytes()})


async def _settle(port: int) -> None:
    line = await dial(port)
    assert (await line.ask(Speaker(MODERN).call("settle"))).status == 200
    line.close()


async def _part(
    port: int, step: Callable[[Client], Awaitable[None]], count: int, seed: int
) -> None:
    left = iter(range(count))

    async def go_on(client: Client) -> None:
        for _ in left:
            await step(client)
        client.close()

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(go_on(Client(port, seed * CLIENTS + number)))


def growth(proof: Proof) -> float:
    """Say how many bytes memory grew per 100,000, once it was warm, in the worst process."""
    processes: dict[int, list[int]] = {}
    for each in proof.done:
        processes.setdefault(each["pid"], []).append(each["rss"])
    warm = -(-WARM_UP // proof.part)
    lines = [
        [(number * proof.part / 100_000, rss) for number, rss in enumerate(samples[warm:])]
        for samples in processes.values()
    ]
    return max(slope(line) for line in lines if len(line) > 2)
