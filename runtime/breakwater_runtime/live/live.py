"""The live settings of the moment: taken over whole, watched; the last good ones stay."""

import asyncio
import logging
from collections.abc import Callable

from prometheus_client import Counter

from breakwater_runtime.live.content import Known, Source
from breakwater_runtime.live.loaded import NOTHING, Loaded, understand
from breakwater_runtime.sealing import Ring
from breakwater_runtime.settings import SettingsError
from breakwater_runtime.shared import Shared

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""How often the files are read again. They are small, and kubelet swaps them without an event that
would reach every mount."""


class Live:
    """The live settings of the moment."""

    def __init__(self, source: Source, *, reloads: Counter) -> None:
        """Nothing is loaded yet: nobody may do anything."""
        self._source = source
        self._reloads = reloads
        self._seen: bytes | None = None
        self._known: Known | None = None
        self._alone = Shared(Ring.fresh())
        self.loaded = NOTHING
        self.faults: tuple[str, ...] = ()
        self._takers: list[Callable[[Loaded], None]] = []

    def when_loaded(self, take: Callable[[Loaded], None]) -> None:
        """Have `take` called with what is loaded, now and each time that something else is."""
        self._takers.append(take)
        take(self.loaded)

    @property
    def fault(self) -> str | None:
        """Why the newest state was not taken over; None: it was."""
        return "; ".join(self.faults) or None

    @property
    def key_fault(self) -> str | None:
        """Why nobody can be let in; None: somebody can."""
        access = self.loaded.access
        others = access.jwt or access.service_accounts or access.insecure_anonymous
        if len(self.loaded.keyring) or others:
            return None
        return "there is no key yet"

    def load(self) -> None:
        """Read the files, and take over what they say unless something is wrong with it."""
        try:
            content = self._source.read(self._known)
        except SettingsError as error:
            self._seen = None
            self._refuse(error.faults)
            return
        self._known = (content.live, content.parsed)
        if content.digest() == self._seen:
            return
        self._seen = content.digest()
        try:
            loaded = understand(content, self._alone)
        except SettingsError as error:
            self._refuse(error.faults)
            return
        self.loaded, self.faults = loaded, ()
        self._reloads.labels("loaded").inc()
        for take in self._takers:
            take(loaded)
        if loaded.access.insecure_anonymous:
            logger.warning("access.insecureAnonymous: anybody may use this server")
        logger.info(
            "live settings loaded", extra={"live": loaded.hash, "keys": len(loaded.keyring)}
        )

    def _refuse(self, faults: tuple[str, ...]) -> None:
        if faults == self.faults:
            return
        self.faults = faults
        self._reloads.labels("refused").inc()
        logger.error("live settings refused, the last good ones stay", extra={"faults": faults})

    async def watch(self, interval_seconds: float = POLL_SECONDS) -> None:
        """Load again whenever the files change, for ever."""
        while True:
            await asyncio.sleep(interval_seconds)
            await asyncio.to_thread(self.load)
