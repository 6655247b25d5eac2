"""Kinds that not every cluster knows: found by discovery, followed once they are there."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.backoff import Backoff
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.informer import Informer
from breakwater_operator.kube.kinds import OPTIONAL, Kind
from breakwater_operator.reconcile.world import World

log = logging.getLogger(__name__)

POLL_SECONDS = 30.0
"""Between two looks; one that finds nothing new costs an empty answer."""

SURE_SECONDS = 5.0
"""Until a look that misses a kind is made again. An API server that has just been started answers
for a moment as if nobody had defined any kinds."""

LATE_SECONDS = 15.0
"""How long a look waits for kinds to be listed.

One that cannot be, as where its own project's webhook is away, must not keep the operator from all
servers, nor from the other kinds; it is taken up by the first look that finds it listed.
"""

Object = dict[str, Any]


@dataclass(frozen=True)
class _Watch:
    """What follows one kind."""

    informers: Sequence[Informer]
    tasks: Sequence[asyncio.Task[None]]

    @property
    def is_full(self) -> bool:
        """Whether everything is listed, but for namespaces that may not be read."""
        is_asked = all(one.asked.is_set() for one in self.informers)
        return is_asked and any(one.full.is_set() for one in self.informers)


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
        self._watches: dict[Kind, _Watch] = {}
        self._missed: set[Kind] = set()
        self.looked = asyncio.Event()
        """Set once the first look is over, and the kinds that were found have been listed, but for
        those that cannot be."""

    @property
    def informers(self) -> list[Informer]:
        """What follows the kinds that were found."""
        return [one for watch in self._watches.values() for one in watch.informers]

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        backoff = Backoff(0.5, POLL_SECONDS)
        try:
            while True:
                wait = POLL_SECONDS
                try:
                    await self._look()
                    backoff.reset()
                    if self._missed:
                        wait = SURE_SECONDS
                except ApiError as error:
                    log.warning("discovery failed", extra={"error": str(error)})
                    wait = backoff.next_seconds()
                await asyncio.sleep(wait)
        finally:
            await self._close(tuple(self._watches))

    async def _look(self) -> None:
        answer = await self._api.discover(self._etag)
        is_fewer = False
        if answer is not None:
            groups, etag = answer
            found = {kind for kind in OPTIONAL if (kind.api_version, kind.plural) in known(groups)}
            gone = self._watches.keys() - found
            self._missed, sure = gone - self._missed, gone & self._missed
            self._name_absent(found | self._missed)
            is_fewer = await self._close(sure)
            self._open(found - self._watches.keys())
            # Only now: a look that was cut short is made again, and so is one that missed a kind.
            self._etag = "" if self._missed else etag
        is_more = await self._take_up()
        if is_fewer or is_more:
            self._changed()
        self.looked.set()

    def _name_absent(self, found: set[Kind]) -> None:
        for kind in OPTIONAL:
            if kind not in found and kind not in self._named:
                self._named.add(kind)
                log.info("the cluster does not know this kind", extra={"kind": kind.name})
        self._named -= found

    def _open(self, kinds: Iterable[Kind]) -> None:
        for kind in kinds:
            informers = self._world.informers_of(kind)
            tasks = [asyncio.create_task(one.run()) for one in informers]
            self._watches[kind] = _Watch(informers, tasks)

    async def _take_up(self) -> bool:
        """Take up the kinds that are listed by now, and say whether there are more than before."""
        waits = [
            asyncio.ensure_future(one.asked.wait())
            for watch in self._watches.values()
            for one in watch.informers
            if not one.asked.is_set()
        ]
        if waits:
            _, late = await asyncio.wait(waits, timeout=LATE_SECONDS)
            for waiting in late:
                waiting.cancel()
        known = self._world.kinds
        # A kind that was missed, and that a write has found gone, is not taken up once more.
        listed = {
            kind.name
            for kind, watch in self._watches.items()
            if watch.is_full and (kind not in self._missed or kind.name in known)
        }
        is_more = listed > known
        self._world.kinds = frozenset(listed)
        return is_more

    async def _close(self, kinds: Iterable[Kind]) -> bool:
        """Follow these kinds no longer, and say whether there were any."""
        gone = list(kinds)
        self._world.kinds -= {kind.name for kind in gone}
        for kind in gone:
            watch = self._watches.pop(kind)
            for task in watch.tasks:
                task.cancel()
            await asyncio.gather(*watch.tasks, return_exceptions=True)
            self._world.children[kind].clear()
            log.info("the cluster no longer knows this kind", extra={"kind": kind.name})
        return bool(gone)


def known(groups: Iterable[Object]) -> set[tuple[str, str]]:
    """Read which kinds a discovery document names: by group and version, and plural."""
    return {
        (f"{group['metadata']['name']}/{version['version']}", resource["resource"])
        for group in groups
        for version in group.get("versions") or ()
        for resource in version.get("resources") or ()
    }
