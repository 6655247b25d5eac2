"""Who makes the passes: takes the next server, has it reconciled, and says when to look again."""

import asyncio
import logging
import time
from dataclasses import dataclass

from breakwater_operator.kube.errors import ApiError
from breakwater_operator.reconcile import journal
from breakwater_operator.reconcile.keeper import Keeper
from breakwater_operator.reconcile.meters import Meters
from breakwater_operator.reconcile.queue import Key, Queue
from breakwater_operator.reconcile.reconciler import Reconciler
from breakwater_operator.reconcile.seen import Result
from breakwater_operator.reconcile.servers import Servers

log = logging.getLogger(__name__)

WORKERS = 24
"""Passes at once. Each mostly waits for the API server, which answers about as many at a time, or
for a few others to begin with."""

REFUSED_SECONDS = 10.0
"""The least wait after the API server refused something: only a person mends that."""


@dataclass(frozen=True)
class Workers:
    """Several that take from one queue; a server has at most one of them."""

    queue: Queue
    servers: Servers
    keeper: Keeper
    meters: Meters
    reconciler: Reconciler

    def start(self, group: asyncio.TaskGroup) -> None:
        """Have all of them work, for as long as the group lives."""
        for _ in range(WORKERS):
            group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            started = time.monotonic()
            server = self.servers.get(key) or {"metadata": {}}
            with journal.passing(key, server["metadata"].get("generation", 0)) as current:
                try:
                    result = await self._pass(key, current)
                finally:
                    self.queue.done(key)
                seconds = time.monotonic() - started
                journal.tell(current, result.outcome, seconds)
            self.meters.passed(result.outcome, seconds)

    async def _pass(self, key: Key, current: journal.Pass) -> Result:
        result = Result("failed")
        try:
            result = await self.reconciler.reconcile(key, self.queue.failures(key))
        except ApiError as error:
            result.failure = error
        except Exception:
            # One server that nobody thought of must not stop the passes over all others.
            log.exception("pass failed")
        if result.outcome != "failed":
            self.keeper.passed(key)
        self._schedule(key, result, has_written=bool(current.writes))
        return result

    def _schedule(self, key: Key, result: Result, *, has_written: bool) -> None:
        if result.outcome == "failed":
            failure = result.failure
            at_least = failure.retry_after_seconds or 0.0 if failure is not None else 0.0
            if failure is not None and failure.refused:
                at_least = max(at_least, REFUSED_SECONDS)
            # A server has few children, so that getting somewhere comes to an end; one that has
            # waited long in an outage must not wait as long for each of them after it.
            self.queue.add_failed(key, at_least, got_somewhere=has_written)
            log.warning("trying again", extra={"error": str(failure)})
        else:
            self.queue.succeeded(key)
            if result.again_seconds is not None:
                self.queue.add_after(key, result.again_seconds)
