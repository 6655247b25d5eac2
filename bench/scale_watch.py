"""Waiting for objects without asking again and again: whoever asks keeps busy what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from bench.processes import ProcessError
from bench.scale_ground import TOLD_SECONDS, say
from breakwater_operator.kube.cache import Cache
from breakwater_operator.kube.informer import Informer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from breakwater_operator.kube.api import KubeApi
    from breakwater_operator.kube.kinds import Kind

Key = tuple[str, str]
Object = dict[str, Any]

IsSo = Callable[[Key, Object], bool]
"""Asked of the namespace and name of an object, and of what is kept of it."""


class Watched:
    """The objects of one kind, as one watch tells of them."""

    def __init__(self, api: KubeApi, kind: Kind, keep: Callable[[Object], Object]) -> None:
        """Follow nothing yet; `following` does.

        Args:
            api: The API server.
            kind: What to follow.
            keep: What of an object is kept: its identity, and what is waited for.
        """
        self._cache = Cache(self._changed, keep)
        self._informer = Informer(api, kind, self._cache)
        self._left: set[Key] = set()
        self._is_so: IsSo = lambda _key, _kept: True
        self._none_left = asyncio.Event()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Watched]:
        """Follow for as long as somebody may wait."""
        task = asyncio.create_task(self._informer.run())
        try:
            await self._informer.full.wait()
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, keys: Iterable[Key], is_so: IsSo, seconds: float, what: str) -> None:
        """Wait until each of these objects is so, and tell now and then of how many that holds.

        Args:
            keys: The objects, by namespace and name.
            is_so: What is waited for.
            seconds: How long.
            what: The same in words.

        Raises:
            ProcessError: They did not get there in time.
        """
        wanted = set(keys)
        self._is_so = is_so
        self._left = {key for key in wanted if not self._holds(key)}
        deadline = time.monotonic() + seconds
        self._none_left.clear()
        while self._left:
            rest = min(TOLD_SECONDS, deadline - time.monotonic())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none_left.wait(), max(0.0, rest))
                return
            done = f"{what}: {len(wanted) - len(self._left)} of {len(wanted)}"
            if rest <= 0:
                raise ProcessError(f"{done} within {seconds:.0f} s")
            say(f"  {done}")

    def _holds(self, key: Key) -> bool:
        kept = self._cache.get(*key)
        return kept is not None and self._is_so(key, kept)

    def _changed(self, _: Object | None, new: Object | None) -> None:
        if new is None or (key := _key(new)) not in self._left:
            return
        if self._is_so(key, new):
            self._left.discard(key)
            if not self._left:
                self._none_left.set()


def _key(live: Object) -> Key:
    return live["metadata"]["namespace"], live["metadata"]["name"]
