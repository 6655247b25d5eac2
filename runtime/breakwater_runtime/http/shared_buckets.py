"""Buckets that all replicas of a server share, and what holds while their store is away."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from prometheus_client import Counter, Gauge

from breakwater_contract import metrics as catalogue
from breakwater_contract.settings import ServerIdentity
from breakwater_contract.shared_rates import SharedRates
from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.http.rate import MINUTE_SECONDS, Buckets, Verdict
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.observability.series import Series

logger = logging.getLogger(__name__)

TOGETHER_MAX = 128
"""How many charges go in one question: the store answers nobody else meanwhile."""

AGAIN_SECONDS = 1.0
"""How often a store that was away is asked whether it is back."""

RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Target:
    """The store, with what the settings' files say."""

    settings: SharedRates
    password: bytes | None = None
    authorities: bytes | None = None
    """Certificates, as PEM, of which one must have signed the store's; None: the system's."""


class Charge(NamedTuple):
    """One of a bucket."""

    key: str
    each_seconds: float
    """What one takes of the minute's worth."""


class Store(Protocol):
    """Where buckets are kept."""

    async def take(self, charges: Sequence[Charge]) -> Sequence[tuple[float, float]]:
        """Charge all at once; get `level` and `over` of each, as a `Verdict` has them."""

    async def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Where it is counted what becomes of charges."""

    charges: Counter
    round_trip: Series
    away: Gauge


class AwayError(Exception):
    """The store does not answer."""


class SharedBuckets:
    """Asks a store, for many requests at once: what comes while it is asked goes in the next one.

    The replica's own buckets are charged all along, so that they are not full when they are needed.
    """

    def __init__(self, server: str, local: Buckets, counts: Counts) -> None:
        """Share the buckets of `server`, by its id; fall back to `local`."""
        self._server = server
        self._local = local
        self._counts = counts
        self._target: Target | None = None
        self._make: Callable[[Target], Store] | None = None
        self._store: tuple[Target, Store] | None = None
        self._waiting: list[tuple[Charge, asyncio.Future[tuple[float, float]]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking = False
        self._away = ""

    @property
    def on(self) -> bool:
        """Whether buckets are shared."""
        return self._target is not None

    @property
    def fault(self) -> str | None:
        """Why the store is not asked; None: it is, or there is none."""
        if self._target is None or not self._away:
            return None
        return f"{self._target.settings.address}: {self._away}"

    def apply(self, target: Target | None) -> None:
        """Take over other settings. Not from the loop's thread: the client library takes long."""
        if target is not None and self._make is None:
            from breakwater_runtime.http.rate_store import RateStore

            self._make = RateStore
        if target != self._target:
            self._target = target
            if target is not None:
                logger.info("rates are shared", extra={"address": target.settings.address})

    async def take(self, bucket: str, name: str, per_minute: int) -> Verdict:
        """Take one from a bucket, if there is one left.

        Raises:
            Refused: The store is away, and then nobody is let in.
        """
        own = self._local.take((bucket, name), per_minute)
        charge = Charge(self._key(bucket, name), MINUTE_SECONDS / per_minute)
        try:
            level, over = await self._ask(charge)
        except AwayError:
            return self._without_store(own)
        self._counts.charges.labels("shared").inc()
        return Verdict(per_minute, level, over)

    def _without_store(self, own: Verdict) -> Verdict:
        match self._target and self._target.settings.when_away:
            case "Refuse":
                self._counts.charges.labels("refused").inc()
                raise Refused(Problem.RATES_UNAVAILABLE, retry_after=RETRY_SECONDS)
            case "Allow":
                self._counts.charges.labels("allowed").inc()
                return Verdict(own.limit, own.level, 0.0)
            case _:
                self._counts.charges.labels("local").inc()
                return own

    def _key(self, bucket: str, name: str) -> str:
        """Name a bucket there: with the server in braces, all of one server lie on one node.

        Names of principals are digested: they may be somebody's address.
        """
        prefix = self._target.settings.prefix if self._target is not None else ""
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]
        return f"{prefix}:{{{self._server}}}:{bucket}:{digest}"

    # Asking

    async def _ask(self, charge: Charge) -> tuple[float, float]:
        """Charge in the store.

        Raises:
            AwayError: It does not answer.
        """
        if self._away:
            raise AwayError
        answer: asyncio.Future[tuple[float, float]] = asyncio.get_running_loop().create_future()
        self._waiting.append((charge, answer))
        if not self._asking:
            self._asking = True
            self._spawn(self._go_on())
        return await answer

    async def _go_on(self) -> None:
        """Ask for all that wait, and for what comes meanwhile."""
        try:
            while self._waiting:
                asked, self._waiting = (
                    self._waiting[:TOGETHER_MAX],
                    self._waiting[TOGETHER_MAX:],
                )
                await self._answer(asked)
        finally:
            self._asking = False

    async def _answer(
        self, asked: list[tuple[Charge, asyncio.Future[tuple[float, float]]]]
    ) -> None:
        try:
            said = await self._charge([charge for charge, _ in asked])
        except AwayError as error:
            waiting, self._waiting = asked + self._waiting, []
            for _, answer in waiting:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), verdict in zip(asked, said, strict=True):
            if not answer.done():
                answer.set_result(verdict)

    async def _charge(self, charges: list[Charge]) -> Sequence[tuple[float, float]]:
        loop = asyncio.get_running_loop()
        store, seconds = self._current()
        since = loop.time()
        try:
            async with asyncio.timeout(seconds):
                said = await store.take(charges)
        except Exception as error:
            self._lose(error)
            raise AwayError from error
        self._counts.round_trip.observe(loop.time() - since)
        return said

    def _current(self) -> tuple[Store, float]:
        """Get the store of the settings of the moment.

        Raises:
            AwayError: There is none any more.
        """
        target = self._target
        if target is None or self._make is None:
            raise AwayError
        if self._store is None or self._store[0] != target:
            self._drop()
            self._store = (target, self._make(target))
        return self._store[1], target.settings.timeout.seconds

    def _lose(self, error: Exception) -> None:
        """Ask no more for now; look after it."""
        self._drop()
        if self._away:
            return
        # The kind of the error alone: what the store says may repeat what it was sent.
        self._away = f"does not answer as it should: {type(error).__name__}"
        self._counts.away.set(1)
        logger.warning("the store of shared rates is away", extra={"reason": self._away})
        self._spawn(self._look())

    async def _look(self) -> None:
        """Ask by ourselves, with a charge of nothing, until it answers."""
        while self._target is not None:
            await asyncio.sleep(AGAIN_SECONDS)
            try:
                store, seconds = self._current()
                async with asyncio.timeout(seconds):
                    await store.take([Charge(self._key("probe", ""), 0.0)])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is still away
                logger.debug("still away", extra={"reason": type(error).__name__})
                self._drop()
            else:
                break
        self._away = ""
        self._counts.away.set(0)
        logger.info("the store of shared rates is back")

    def _drop(self) -> None:
        """Begin anew with the next question: nobody knows what is still under way."""
        if self._store is not None:
            self._spawn(self._close(self._store[1]))
            self._store = None

    async def _close(self, store: Store) -> None:
        try:
            await store.close()
        except Exception as error:  # noqa: BLE001 - it is of no use any more
            logger.debug("not closed", extra={"reason": type(error).__name__})

    async def close(self) -> None:
        """Let go of the store."""
        self._target = None
        for task in tuple(self._tasks):
            task.cancel()
        if self._store is not None:
            (_, store), self._store = self._store, None
            await self._close(store)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@dataclass(frozen=True)
class Rates:
    """The buckets of one process."""

    own: Buckets
    shared: SharedBuckets

    @classmethod
    def of(cls, server: ServerIdentity, metrics: Metrics, elapsed: Callable[[], float]) -> "Rates":
        """Make those of a server's replica; all are full."""
        counts = Counts(
            metrics.counter(catalogue.SHARED_CHARGES),
            metrics.histogram(catalogue.SHARED_ROUND_TRIP).labels(),
            metrics.gauge(catalogue.SHARED_AWAY),
        )
        own, name = Buckets(elapsed), server.uid or f"{server.namespace}/{server.name}"
        return cls(own, SharedBuckets(name, own, counts))
