"""Kinds that not every cluster knows: found by discovery, followed once they are there."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.backoff import Backoff
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import OPTIONAL, Kind
from breakwater_operator.reconcile.world import World

log = logging.getLogger(__name__)

POLL_SECONDS = 30.0
"""Between two looks; one that finds nothing new costs an empty answer."""

Object = dict[str, Any]


class OptionalKinds:
    """Which optional kinds the cluster knows. A kind that is absent costs nothing but the look."""

    def __init__(self, api: KubeApi, world: World, changed: Callable[[], None]) -> None:
        """Look at nothing yet.

        Args:
            api: The API server.
            world: Where the caches of these kinds are.
            changed: Told when there are others than before.
        """
        self._api = api
        self._world = world
        self._changed = changed
        self._etag = ""
        self._named: set[Kind] = set()
        self._watches: dict[Kind, list[asyncio.Task[None]]] = {}
        self.looked = asyncio.Event()
        """Set once the first look is over, and every kind that was found has been listed."""

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        backoff = Backoff(0.5, POLL_SECONDS)
        try:
            while True:
                wait = POLL_SECONDS
                try:
                    await self._look()
                    backoff.reset()
                except ApiError as error:
                    log.warning("discovery failed", extra={"error": str(error)})
                    wait = backoff.next_seconds()
                await asyncio.sleep(wait)
        finally:
            await self._close(tuple(self._watches))

    async def _look(self) -> None:
        answer = await self._api.discover(self._etag)
        if answer is not None:
            groups, etag = answer
            found = {kind for kind in OPTIONAL if (kind.api_version, kind.plural) in known(groups)}
            self._name_absent(found)
            await self._close(self._watches.keys() - found)
            await self._open(found - self._watches.keys())
            # Only now: a look that was cut short is made again.
            self._etag = etag
        self.looked.set()

    def _name_absent(self, found: set[Kind]) -> None:
        for kind in OPTIONAL:
            if kind not in found and kind not in self._named:
                self._named.add(kind)
                log.info("the cluster does not know this kind", extra={"kind": kind.name})
        self._named -= found

    async def _open(self, kinds: Iterable[Kind]) -> None:
        new = {kind: self._world.informers_of(kind) for kind in kinds}
        for kind, informers in new.items():
            self._watches[kind] = [asyncio.create_task(one.run()) for one in informers]
        if new:
            waits = [one.full.wait() for informers in new.values() for one in informers]
            await asyncio.gather(*waits)
            self._tell()

    async def _close(self, kinds: Iterable[Kind]) -> None:
        gone = list(kinds)
        for kind in gone:
            for task in self._watches[kind]:
                task.cancel()
            await asyncio.gather(*self._watches.pop(kind), return_exceptions=True)
            self._world.children[kind].clear()
            log.info("the cluster no longer knows this kind", extra={"kind": kind.name})
        if gone:
            self._tell()

    def _tell(self) -> None:
        self._world.kinds = frozenset(kind.name for kind in self._watches)
        self._changed()


def known(groups: Iterable[Object]) -> set[tuple[str, str]]:
    """Read which kinds a discovery document names: by group and version, and plural."""
    return {
        (f"{group['metadata']['name']}/{version['version']}", resource["resource"])
        for group in groups
        for version in group.get("versions") or ()
        for resource in version.get("resources") or ()
    }
