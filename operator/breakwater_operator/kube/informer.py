"""Keeping a cache true: list, then watch, for as long as the process lives."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.backoff import Backoff
from breakwater_operator.kube.cache import Cache, Name
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import Kind

log = logging.getLogger(__name__)

WATCH_SECONDS = (300, 600)
"""How long one watch is asked to last; spread, so that they do not all end together."""


LONGEST_WAIT_SECONDS = 10.0
"""Between two attempts. What happens meanwhile is not seen, and the watches of an operator are
few."""

TOLD_SECONDS = 300.0
"""How long the same failure is not told of again: a namespace may be forbidden for ever."""

BRIEF_SECONDS = 1.0
"""A watch that ends sooner without a word has failed. One that lasted was quiet, and cut by a proxy
that ends idle connections, maybe before a bookmark comes: each minute."""


class Informer:
    """Follows one kind, in one namespace or in all of them.

    A watch that ends or breaks goes on from where it was; only when the server no longer has that
    point in its history (410) is everything listed again, and compared with what was known.
    """

    def __init__(
        self,
        api: KubeApi,
        kind: Kind,
        cache: Cache,
        *,
        namespace: str | None = None,
        selector: str = "",
        name: str = "",
        metadata_only: bool = False,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet; `run` does.

        Args:
            api: Where to ask.
            kind: What to follow.
            cache: What to keep true.
            namespace: Where; None means everywhere.
            selector: Only objects with these labels.
            name: Only the object of this name.
            metadata_only: Ask for no more than the metadata.
            backoff: How long to wait after failures.
            sleep: How to wait.
            clock: Seconds that only go up.
        """
        self._api = api
        self._cache = cache
        self._backoff = backoff or Backoff(0.2, LONGEST_WAIT_SECONDS)
        self._sleep = sleep
        self._clock = clock
        self._since = ""
        self._heard = clock()
        self._told = ("", 0.0)
        self.kind = kind
        self.namespace = namespace
        self.selector = selector
        self._name = name
        self.metadata_only = metadata_only
        self.full = asyncio.Event()
        """Set once the first list is in the cache."""
        self.asked = asyncio.Event()
        """Set once it is, or the API server has said that this may not be listed."""

    @property
    def silent_seconds(self) -> float:
        """How long ago the API server last said anything: a bookmark, or that a watch is open.

        Where etcd rarely tells of progress, kinds that do not change hear no bookmark for minutes.
        """
        return self._clock() - self._heard

    async def run(self) -> None:
        """Keep the cache true until cancelled."""
        while True:
            try:
                if not self._since:
                    await self._list()
                await self._watch()
            except ApiError as error:
                await self._failed(error)

    async def _list(self) -> None:
        chunks = self._api.chunks(
            self.kind,
            self.namespace,
            selector=self.selector,
            name=self._name,
            metadata_only=self.metadata_only,
        )
        names: set[Name] = set()
        since = ""
        async with aclosing(chunks):
            async for found, at in chunks:
                names |= self._cache.listed(found)
                since = at
        self._cache.list_ended(names, int(since), self.namespace)
        self._hears(since)
        self.full.set()
        self.asked.set()

    async def _watch(self) -> None:
        events = self._api.watch(
            self.kind,
            self.namespace,
            since=self._since,
            # Spreading load needs no secrecy.
            seconds=random.randint(*WATCH_SECONDS),  # noqa: S311  spreads load, guards nothing
            selector=self.selector,
            name=self._name,
            metadata_only=self.metadata_only,
            is_known=self._cache.is_own,
            opened=self._is_open,
        )
        is_told, opened = False, self._clock()
        async with aclosing(events):
            async for event in events:
                is_told = True
                if event["type"] != "BOOKMARK":
                    self._cache.saw(event["type"], event["object"])
                self._hears(event["object"]["metadata"]["resourceVersion"])
        if not is_told and self._clock() - opened < BRIEF_SECONDS:
            # Who ends each watch at once is not to be asked in a loop.
            raise ApiError(f"watch {self.kind.name}: it ended before anything was told")

    def _is_open(self) -> None:
        self._heard = self._clock()

    def _hears(self, since: str) -> None:
        self._since = since
        self._heard = self._clock()
        self._told = ("", 0.0)
        self._backoff.reset()

    async def _failed(self, error: ApiError) -> None:
        if error.expired:
            self._since = ""
            # It answers: what it was waited for during an outage is over.
            self._backoff.reset()
        if error.forbidden:
            self.asked.set()
        wait = max(self._backoff.next_seconds(), error.retry_after_seconds or 0.0)
        self._tell(str(error), wait)
        await self._sleep(wait)

    def _tell(self, error: str, wait_seconds: float) -> None:
        now, (before, since) = self._clock(), self._told
        if error == before and now - since < TOLD_SECONDS:
            return
        self._told = (error, now)
        log.warning(
            "watch failed, trying again",
            extra={"kind": self.kind.name, "error": error, "wait_seconds": round(wait_seconds, 1)},
        )
