"""Keeping the operator's own keys: loaded, followed, and turned once every pod knows the next."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from breakwater_operator.api.errors import ClusterError
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.backoff import Backoff
from breakwater_operator.probe.rounds import Rounds
from breakwater_operator.reconcile import signing
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.servers import Servers
from breakwater_operator.reconcile.signing import Signing

log = logging.getLogger(__name__)

LOOK_SECONDS = 600.0
"""Between two looks at our own Secret."""

TURN_SECONDS = 5.0
"""The same while one signing key follows another."""


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
        while True:
            try:
                step = await self._step(known)
                if known.take(step):
                    log.info("signing keys changed", extra={"keys": len(known.keys)})
                    self.changed()
            except ClusterError as error:
                log.warning("signing keys stay as they are", extra={"error": str(error)})
                await asyncio.sleep(TURN_SECONDS)

    async def _step(self, known: Signing) -> Signing:
        is_known = self._is_known(known.keys[-1].public.kid)
        step = await signing.rotated(self.api, known, self.now(), is_known=is_known)
        if step is not None:
            return step
        await asyncio.sleep(TURN_SECONDS if known.is_turning else spread(LOOK_SECONDS))
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


def spread(seconds: float) -> float:
    """Vary a time, so that what many do in it does not all fall together."""
    return seconds * (0.9 + 0.2 * random.random())  # noqa: S311  spreads load, guards nothing
