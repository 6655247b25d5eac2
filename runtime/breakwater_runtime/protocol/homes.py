"""Which pod answers which principal, where a server keeps something for each.

A request of today has no session that would lead it anywhere. So that a principal finds what its
last call left behind, all pods choose the same one for it, without asking each other: the one with
the highest hash of both (rendezvous hashing, Thaler and Ravishankar 1998). When a pod comes or
goes, only those principals move whose home it becomes or was.
"""

import asyncio
import hashlib
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from breakwater_runtime.protocol.session_ids import Pod

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""How often it is looked who is there."""

KEPT_MAX = 4096
"""How many principals are remembered with their homes."""

Resolve = Callable[[], Awaitable[Sequence[str]]]
Introduce = Callable[[str], Awaitable[Pod | None]]


class Homes:
    """Knows the home of every principal."""

    def __init__(
        self,
        here: Pod,
        resolve: Resolve,
        introduce: Introduce,
        takes_requests: Callable[[], bool],
    ) -> None:
        """Be one of the pods.

        Args:
            here: This process.
            resolve: Finds the addresses at which pods may be, ours among them.
            introduce: Asks who is at an address.
            takes_requests: Says whether this process would be a home now.
        """
        self._here = here
        self._resolve = resolve
        self._introduce = introduce
        self._takes_requests = takes_requests
        self._addresses: Sequence[str] = ()
        self._pods: tuple[Pod, ...] = ()
        self._homes: dict[str, Pod] = {}

    @property
    def others(self) -> int:
        """How many other pods may be homes."""
        return sum(1 for pod in self._pods if pod is not self._here)

    def of(self, principal: str) -> Pod | None:
        """Get the pod that answers a principal; None: this one."""
        if not self._pods:
            return None
        home = self._homes.get(principal)
        if home is None:
            home = max(self._pods, key=lambda pod: _weight(pod, principal))
            if len(self._homes) >= KEPT_MAX:
                del self._homes[next(iter(self._homes))]
            self._homes[principal] = home
        return None if home is self._here else home

    def lost(self, pod: Pod) -> None:
        """Do without a pod until it is seen again."""
        self._take(tuple(each for each in self._pods if each is not pod))

    async def watch(self) -> None:
        """Look who is there, again and again."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look who is there now."""
        with suppress(OSError):  # no DNS at the moment: those that were there may still be
            self._addresses = await self._resolve()
        asked = [self._introduce(each) for each in self._addresses if each != self._here.address]
        found = [pod for pod in await asyncio.gather(*asked) if pod is not None]
        if self._takes_requests():
            found.append(self._here)
        # One that is known stays the very same, by which requests under way know it.
        known = {pod: pod for pod in self._pods}
        self._take(tuple(sorted((known.get(pod, pod) for pod in found), key=lambda pod: pod.uid)))

    def _take(self, pods: tuple[Pod, ...]) -> None:
        if pods != self._pods:
            self._pods = pods
            self._homes.clear()
            logger.info("pods that answer", extra={"pods": [pod.uid for pod in pods]})


def resolver(names: Sequence[str], port: int) -> Resolve:
    """Make what finds the addresses behind names; those without a port have the one given."""
    places = [_place(name, port) for name in names]

    async def resolve() -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await asyncio.gather(
            *(loop.getaddrinfo(*place, type=socket.SOCK_STREAM) for place in places)
        )
        return sorted({_written(*info[4][:2]) for infos in found for info in infos})

    return resolve


def _place(name: str, port: int) -> tuple[str, int]:
    host, colon, own = name.rpartition(":")
    if colon and own.isdigit() and not host.endswith(":"):
        return host.strip("[]"), int(own)
    return name.strip("[]"), port


def _written(host: object, port: object) -> str:
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _weight(pod: Pod, principal: str) -> bytes:
    said = f"{pod.uid}\0{principal}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(said).digest()
