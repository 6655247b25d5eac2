"""One leader among the replicas of the operator, by a Lease that it renews."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from breakwater_operator.api.names import MANAGER
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import LEASE

log = logging.getLogger(__name__)

Object = dict[str, Any]


@dataclass(frozen=True)
class Terms:
    """How long each step takes, in seconds; the first three are the defaults of client-go."""

    lease_seconds: int = 15
    """How long after its last renewal a silent leader is still respected."""
    deadline_seconds: float = 10.0
    """How long after its last renewal a leader may still write. It is shorter than the lease, so
    that one whose network is cut has stopped before another begins."""
    renew_seconds: float = 2.0
    """Between two renewals."""
    look_seconds: float = 1.0
    """Between two looks of those who wait: a lease that is given up is taken over so soon."""
    request_seconds: float = 4.0
    """How long one request may take; two of them fit before the deadline."""


@dataclass(frozen=True)
class _Record:
    """The Lease as last seen, and when that state of it was seen first."""

    live: Object
    seen: float

    @property
    def holder(self) -> str:
        return self.live["spec"].get("holderIdentity") or ""

    @property
    def ends(self) -> float:
        # Clocks of different machines are not compared: a lease lasts from when we saw it renewed.
        return self.seen + float(self.live["spec"].get("leaseDurationSeconds") or 0)


class Leadership:
    """Leads or waits, for as long as the process lives."""

    def __init__(
        self,
        api: KubeApi,
        where: tuple[str, str],
        identity: str,
        now: Callable[[], datetime],
        *,
        terms: Terms | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Hold nothing yet; `run` does.

        Args:
            api: Where the Lease is.
            where: Its namespace and name.
            identity: What no other process is called, now or before.
            now: The time, with its zone, for those who read the Lease.
            terms: How long each step takes.
            clock: Seconds that only go up.
            sleep: How to wait.
        """
        self._api = api
        self._where = where
        self._identity = identity
        self._now = now
        self._terms = terms or Terms()
        self._clock = clock
        self._sleep = sleep
        self._record: _Record | None = None
        self._until = 0.0
        self._heard: float | None = None

    @property
    def leads(self) -> bool:
        """Whether this process may write now.

        It turns false by itself when the Lease could not be renewed in time, whatever else the
        process is doing.
        """
        return self._clock() < self._until

    def fault(self) -> str | None:
        """Say why this process could not lead if it had to; None where it could."""
        if self._heard is None:
            return "the Lease is not read yet"
        silent = self._clock() - self._heard
        if silent <= self._terms.deadline_seconds:
            return None
        return f"the Lease was last read {silent:.0f} s ago"

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Lead whenever possible, until cancelled; then give the Lease up.

        Args:
            lead: What a leader does. It is cancelled when another one leads, and begun again when
                this process does once more.
        """
        try:
            while True:
                await self._win()
                log.info("leading", extra={"identity": self._identity})
                await self._keep(lead)
                log.warning("not leading any more", extra={"identity": self._identity})
        finally:
            await self._give_up()

    async def _win(self) -> None:
        while not await self._tried(self._take):
            await self._sleep(self._terms.look_seconds)

    async def _keep(self, lead: Callable[[], Awaitable[None]]) -> None:
        work = asyncio.ensure_future(lead())
        try:
            while self.leads and not work.done():
                await asyncio.wait({work}, timeout=self._terms.renew_seconds)
                if not await self._tried(self._renew) and self._is_anothers():
                    break
        finally:
            self._until = 0.0
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        if not work.cancelled():
            work.result()

    async def _tried(self, step: Callable[[], Awaitable[bool]]) -> bool:
        """Take a step; whatever fails is tried again later."""
        try:
            async with asyncio.timeout(self._terms.request_seconds):
                return await step()
        except (ApiError, TimeoutError) as error:
            log.warning("the Lease cannot be had", extra={"error": str(error) or "no answer"})
            return False

    async def _take(self) -> bool:
        """Take the Lease where nobody holds it."""
        started = self._clock()
        await self._look()
        if self._record is None:
            return await self._write(self._fresh(), started)
        is_free = self._record.holder in {"", self._identity}
        if not is_free and self._clock() < self._record.ends:
            return False
        return await self._write(self._taken(self._record.live), started)

    async def _renew(self) -> bool:
        started = self._clock()
        if self._record is None:
            return await self._take()
        spec = self._record.live["spec"] | {"renewTime": self._time()}
        if await self._write(self._record.live | {"spec": spec}, started):
            return True
        # Somebody else wrote it. What counts is who holds it now.
        await self._look()
        if self._is_anothers():
            return False
        return await self._take()

    def _is_anothers(self) -> bool:
        return self._record is not None and self._record.holder not in {"", self._identity}

    async def _look(self) -> None:
        try:
            live = await self._api.get(LEASE, *self._where)
        except ApiError as error:
            if not error.not_found:
                raise
            self._record, self._heard = None, self._clock()
            return
        self._heard = self._clock()
        # Somebody may have emptied it: then nobody holds it.
        live = live | {"spec": live.get("spec") or {}}
        if self._record is None or _version(live) != _version(self._record.live):
            self._record = _Record(live, self._clock())

    async def _write(self, lease: Object, started: float) -> bool:
        """Write the Lease if it is still as last seen; the term counts from before the request."""
        write = self._api.replace if "resourceVersion" in lease["metadata"] else self._api.create
        try:
            live = await write(LEASE, lease, manager=MANAGER)
        except ApiError as error:
            if error.conflict or error.not_found:
                return False
            raise
        self._record, self._heard = _Record(live, started), started
        if live["spec"]["holderIdentity"] == self._identity:
            self._until = started + self._terms.deadline_seconds
        return True

    async def _give_up(self) -> None:
        """Let another one lead at once."""
        if self._record is None or self._record.holder != self._identity:
            return
        given_up = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._time()}
        spec = self._record.live["spec"] | given_up
        lease = self._record.live | {"spec": spec}
        self._record = replace(self._record, live=lease)
        await self._tried(lambda: self._write(lease, self._clock()))

    def _fresh(self) -> Object:
        namespace, name = self._where
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {
                "namespace": namespace,
                "name": name,
                "labels": {"app.kubernetes.io/part-of": MANAGER},
            },
            "spec": self._held() | {"acquireTime": self._time(), "leaseTransitions": 0},
        }

    def _taken(self, live: Object) -> Object:
        spec = live["spec"] | self._held() | {"acquireTime": self._time()}
        is_new = live["spec"].get("holderIdentity") != self._identity
        spec["leaseTransitions"] = int(live["spec"].get("leaseTransitions") or 0) + is_new
        return live | {"spec": spec}

    def _held(self) -> Object:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._terms.lease_seconds,
            "renewTime": self._time(),
        }

    def _time(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _version(live: Object) -> str:
    version: str = live["metadata"]["resourceVersion"]
    return version
