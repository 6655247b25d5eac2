"""The command of a server that listens, kept running by the helper in its container."""

import asyncio
import logging
from collections.abc import Callable

from breakwater_contract.backends import Reason
from breakwater_runtime.backends.backend import Finding
from breakwater_runtime.backends.container.helper import Helper, HelperError
from breakwater_runtime.backends.container.pool import (
    BACKOFF_SECONDS,
    BACKOFF_SECONDS_MAX,
    STEADY_SECONDS,
)

logger = logging.getLogger(__name__)


class Command:
    """Has it started, and started again when it ends.

    Kubelet would do so too, but the pod is not ready meanwhile, whatever else it could serve.
    """

    def __init__(self, backend: str, helper: Helper) -> None:
        """Have it started by `helper`."""
        self._backend = backend
        self._helper = helper
        self._ending: str | None = None

    @property
    def finding(self) -> Finding | None:
        """Say why it may not listen; None: nothing is known against it."""
        if self._helper.fault is not None:
            return Finding(Reason.UNREACHABLE, self._helper.fault)
        if self._ending is not None:
            return Finding(Reason.CRASHING, f"{self._ending}; it is started again")
        return None

    async def run(self, ended: Callable[[], None]) -> None:
        """Keep it running, for ever; tell each time that it has ended."""
        connected = asyncio.ensure_future(self._helper.run())
        try:
            await self._restart(ended)
        finally:
            connected.cancel()
            await asyncio.wait({connected})

    async def _restart(self, ended: Callable[[], None]) -> None:
        loop, wait = asyncio.get_running_loop(), BACKOFF_SECONDS
        while True:
            await self._helper.connected()
            since = loop.time()
            self._ending = await self._lived()
            ended()
            logger.warning(
                "a server's command ended", extra={"backend": self._backend, "reason": self._ending}
            )
            if loop.time() - since >= STEADY_SECONDS:
                wait = BACKOFF_SECONDS
            await asyncio.sleep(wait)
            wait = min(wait * 2, BACKOFF_SECONDS_MAX)

    async def _lived(self) -> str:
        """Have it run once, and say how it ended."""
        try:
            child = await self._helper.start(pipes=False)
        except HelperError as error:
            return f"it could not be started: {error}"
        return str(await child.exited)
