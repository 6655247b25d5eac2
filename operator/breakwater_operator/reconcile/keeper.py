"""Keeping the operator's own keys: loaded, followed, and turned once every pod knows the next."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from breakwater_operator.api.errors import ClusterError
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.backoff import Backoff
from breakwater_operator.kube.cache import Cache, Changed, version
from breakwater_operator.kube.informer import Informer
from breakwater_operator.kube.kinds import SECRET
from breakwater_operator.probe.rounds import Rounds
from breakwater_operator.reconcile import signing
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.servers import Servers
from breakwater_operator.reconcile.signing import Signing

log = logging.getLogger(__name__)

Object = dict[str, Any]

LOOK_SECONDS = 600.0
"""Between two looks at whether the signing key is old enough to be followed by another."""

TURN_SECONDS = 5.0
"""Between two looks at our own Secret while one signing key follows another."""

TRIED_AGAIN_SECONDS = 60.0
"""The longest wait until a Secret that could not be read, made or written is looked at again."""


@dataclass
class Keeper:
    """Looks after the Secret while this process leads."""

    api: KubeApi
    platform: Platform
    servers: Servers
    rounds: Rounds
    changed: Callable[[], None]
    """Called when all servers have to be told of other keys."""
    now: Callable[[], datetime]
    entropy: Callable[[int], bytes]
    looked_at: set[Key] = field(default_factory=set)
    """Servers that a pass has come to the end of since this process leads."""

    async def load(self) -> Signing:
        """Wait until the keys are there."""
        backoff = Backoff(0.5, 30.0)
        while True:
            try:
                return await signing.load(self.api, self.platform, self.entropy)
            except ClusterError as error:
                log.error("no signing key, trying again", extra={"error": str(error)})  # noqa: TRY400 - the message says it all
                await asyncio.sleep(backoff.next_seconds())

    async def follow(self, known: Signing) -> None:
        """Follow what becomes of the Secret, and have its key followed by another in time."""
        is_changed = asyncio.Event()

        def told(_: Object | None, new: Object | None) -> None:
            # What we wrote ourselves, and what was there at first, is no news.
            if new is None or version(new) != version(known.live):
                is_changed.set()

        following = asyncio.create_task(self._informer(told).run())
        try:
            await self._follow(known, is_changed)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    def _informer(self, told: Changed) -> Informer:
        return Informer(
            self.api,
            SECRET,
            Cache(told, dict),
            namespace=self.platform.namespace,
            name=signing.secret_name(self.platform),
            metadata_only=True,
        )

    async def _follow(self, known: Signing, is_changed: asyncio.Event) -> None:
        backoff = Backoff(TURN_SECONDS, TRIED_AGAIN_SECONDS)
        while True:
            try:
                step = await self._step(known, is_changed)
                if known.take(step):
                    log.info("signing keys changed", extra={"keys": len(known.keys)})
                    self.changed()
                backoff.reset()
            except ClusterError as error:
                log.warning("signing keys stay as they are", extra={"error": str(error)})
                await _news(is_changed, backoff.next_seconds())
                # The Secret may be another one than is known, or none: it is read before anything
                # more is written, or each write would be refused like this one.
                is_changed.set()

    async def _step(self, known: Signing, is_changed: asyncio.Event) -> Signing:
        if not is_changed.is_set():
            is_known = self._is_known(known.keys[-1].public.kid)
            step = await signing.rotated(self.api, known, self.now(), is_known=is_known)
            if step is not None:
                return step
            await _news(is_changed, TURN_SECONDS if known.is_turning else LOOK_SECONDS)
        if not is_changed.is_set() and not known.is_turning:
            return known
        is_changed.clear()
        return await signing.load(self.api, self.platform, self.entropy, known)

    def _is_known(self, kid: str) -> bool:
        """Whether every pod knows a key of ours: those of servers not looked at may not."""
        return self.looked_at.issuperset(self.servers.all()) and self.rounds.all_know(kid)

    def passed(self, key: Key) -> None:
        """Know that a server was looked at, or is no longer there."""
        (self.looked_at.discard if self.servers.get(key) is None else self.looked_at.add)(key)

    def leave(self) -> None:
        """Know nothing any more: another process leads."""
        self.looked_at.clear()


async def _news(is_changed: asyncio.Event, seconds: float) -> None:
    """Wait for news, but not for ever."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await is_changed.wait()


def spread(seconds: float) -> float:
    """Vary a time, so that what many do in it does not all fall together."""
    return seconds * (0.9 + 0.2 * random.random())  # noqa: S311  spreads load, guards nothing
