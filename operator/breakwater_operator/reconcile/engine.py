"""Everything that runs as long as the process: informers, workers, and what comes now and then."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from breakwater_operator.api.errors import ClusterError
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.leadership import Leadership
from breakwater_operator.probe.prober import HttpProber, Prober
from breakwater_operator.probe.rounds import Rounds
from breakwater_operator.reconcile.barrier import Barrier
from breakwater_operator.reconcile.conclusions import Conclusions
from breakwater_operator.reconcile.events import Events
from breakwater_operator.reconcile.followers import Followers
from breakwater_operator.reconcile.healths import Healths
from breakwater_operator.reconcile.hosts import Hosts
from breakwater_operator.reconcile.intents import Intents
from breakwater_operator.reconcile.issuer import ClusterIssuer
from breakwater_operator.reconcile.keeper import Keeper, spread
from breakwater_operator.reconcile.meters import Meters
from breakwater_operator.reconcile.older import Carrying
from breakwater_operator.reconcile.optional import OptionalKinds
from breakwater_operator.reconcile.owners import Owners
from breakwater_operator.reconcile.prune import Pruner
from breakwater_operator.reconcile.queue import Key, Priority, Queue
from breakwater_operator.reconcile.reconciler import Reconciler
from breakwater_operator.reconcile.refusals import Refusals
from breakwater_operator.reconcile.scalers import Scalers
from breakwater_operator.reconcile.seen import Seen
from breakwater_operator.reconcile.servers import Servers
from breakwater_operator.reconcile.settled import Settled
from breakwater_operator.reconcile.signing import Signing
from breakwater_operator.reconcile.statuses import Statuses
from breakwater_operator.reconcile.upgrades import Upgrades, under_way
from breakwater_operator.reconcile.withdrawals import Withdrawals
from breakwater_operator.reconcile.workers import Workers
from breakwater_operator.reconcile.world import World
from breakwater_operator.reconcile.write import Writer

RESYNC_SECONDS = 36_000.0
"""Between two passes over everything without a reason; costs no request while nothing drifted."""

REPORT_SECONDS = 0.2
"""How long reports of pods and controllers are gathered before they wake a pass: they come in
groups, and each pass that sees a few of them may write a status."""

REPORTS_APART_SECONDS = 1.0
"""From one pass over a server to the next one that reports wake: a rollout makes dozens of them."""

SILENT_SECONDS = 300.0
"""After which a watch is not merely quiet: one that was told nothing for 75 seconds is opened anew,
and that the API server agrees to it counts."""

STUCK_SECONDS = 300.0
"""A pass that runs longer hangs, and a queue of which nothing is taken for that long too."""


@dataclass(frozen=True)
class Outside:
    """What the operator gets from outside: time, chance, identity."""

    now: Callable[[], datetime]
    """The time, with its zone."""
    entropy: Callable[[int], bytes]
    """Makes so many random bytes."""
    instance: str
    """Which process this is, in events and in the Lease: no other one has the same."""


class Engine:
    """The operator, but for its process."""

    def __init__(
        self,
        api: KubeApi,
        platform: Platform,
        meters: Meters,
        outside: Outside,
        prober: Prober | None = None,
    ) -> None:
        """Start nothing yet; `start` does.

        Args:
            api: The API server.
            platform: The operator's configuration.
            meters: Counts what is done.
            outside: Time, chance, identity.
            prober: Asks pods; None means over the network.
        """
        self._api = api
        self._platform = platform
        self._meters = meters
        self._outside = outside
        self._queue = Queue()
        self._servers = Servers(self._wake)
        self._settled = Settled[Seen]()
        self._paused: set[Key] = set()
        self._world = World(api, platform.watch_namespaces, self._changed, self._wake_soon)
        namespaces: Sequence[str | None] = platform.watch_namespaces or (None,)
        self._informers = [*self._servers.informers(api, namespaces), *self._world.informers]
        self._barrier = Barrier(self._informers)
        self._optional = OptionalKinds(api, self._world, self._wake_all)
        self._leadership = Leadership(
            api, (platform.namespace, platform.instance), outside.instance, outside.now
        )
        api.ask_before_writes(lambda: self._leadership.leads)
        self._is_working = False
        self._signing: Signing | None = None
        self._rounds = Rounds(
            prober or HttpProber(lambda: self._known_signing().keys), self._answered, meters.probe
        )
        self._healths = Healths(self._rounds, self._world)
        self._keeper = Keeper(
            api, platform, self._servers, self._rounds, self._wake_all, outside.now, outside.entropy
        )
        self._issuer = ClusterIssuer(api, self._changed)
        self._events = Events(api, outside.instance, outside.now)
        self._tasks: list[asyncio.Task[None]] = []
        meters.queue(lambda: len(self._queue), lambda: self._queue.oldest_seconds)
        meters.servers(lambda: len(self._paused), lambda: self._queue.failing)
        meters.leader(lambda: self._leadership.leads)
        meters.informers(self._silent_seconds)
        meters.show(self._healths)

    def start(self) -> None:
        """Start everything.

        The caches are kept by every replica, so that one that comes to lead begins at once; the
        first pass waits until each is full, but for namespaces that may not be read.
        """
        self._tasks = [
            asyncio.create_task(informer.run(), name=f"the watch of {informer.kind.name}")
            for informer in self._informers
        ]
        leading = self._leadership.run(self._lead)
        self._tasks.append(asyncio.create_task(leading, name="the election of a leader"))
        self._tasks.append(asyncio.create_task(self._resync(), name="the regular look"))
        self._tasks.append(asyncio.create_task(self._optional.run(), name="discovery"))
        self._tasks.append(asyncio.create_task(self._issuer.run(), name="the issuer's poll"))
        self._tasks.append(asyncio.create_task(self._api.gather(), name="the gathering of answers"))

    async def stop(self) -> None:
        """Stop everything; what is half done is done by the next process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._rounds.close()
        await self._events.close()

    def faults(self) -> list[str]:
        """Say what a restart would mend."""
        faults = [
            f"{task.get_name()} has ended: {_why(task)}" for task in self._tasks if task.done()
        ]
        if (stuck := self._queue.stuck_seconds) > STUCK_SECONDS:
            faults.append(f"the queue has not moved for {stuck:.0f} s")
        return faults

    def unready(self) -> list[str]:
        """Say what keeps this process from its work, or from taking it over."""
        waiting = [f"{one.kind.name} are not listed yet" for one in self._barrier.unlisted()]
        waiting += [
            f"nothing was heard of {one.kind.name} for {one.silent_seconds:.0f} s"
            for one in self._barrier.unheard(SILENT_SECONDS)
        ]
        if fault := self._leadership.fault():
            waiting.append(fault)
        if self._is_working and self._signing is None:
            waiting.append("the signing key is not loaded yet")
        if not self._optional.looked.is_set():
            waiting.append("optional kinds are not discovered yet")
        return waiting

    def _silent_seconds(self) -> dict[str, float]:
        """Since when the watch of each kind has said nothing; the longest of its namespaces."""
        silent: dict[str, float] = {}
        for informer in (*self._informers, *self._optional.informers):
            name = informer.kind.name
            silent[name] = max(silent.get(name, 0.0), informer.silent_seconds)
        return silent

    def _wake(self, key: Key, priority: Priority = Priority.CHANGE) -> None:
        """Ask for a pass soon. Whoever comes to lead passes over everything anyway."""
        if self._is_working and self._barrier.is_open(key[0]):
            self._queue.add(key, priority)
        elif self._servers.get(key) is None:
            # No pass ends what is remembered of it.
            self._world.forget(key)
            self._settled.forget(key)

    def _changed(self, key: Key) -> None:
        """Have a server looked at as a whole: something that its children depend on changed."""
        self._settled.changed(key)
        self._wake(key)

    def _wake_all(self) -> None:
        """Ask for a full pass over everything, after whatever users wait for."""
        self._settled.all_changed()
        for key in self._servers.all():
            self._wake(key, Priority.ROUTINE)

    def _wake_soon(self, key: Key) -> None:
        if self._is_working and self._barrier.is_open(key[0]):
            self._queue.add_report(key, REPORT_SECONDS, REPORTS_APART_SECONDS)

    def _answered(self, key: Key) -> None:
        """Look at what pods answered, after whatever users wait for: they may all do so at once."""
        self._wake(key, Priority.REPORT)

    def _known_signing(self) -> Signing:
        if self._signing is None:
            raise ClusterError("the signing key is not loaded yet")
        return self._signing

    async def _lead(self) -> None:
        """Pass over every server, then over each that changes, for as long as this one leads."""
        await self._barrier.wait()
        await self._optional.looked.wait()
        self._is_working = True
        try:
            self._signing = await self._keeper.load()
            self._wake_all()
            reconciler = self._reconciler(self._signing)
            reconciler.hosts.look(self._servers.all())
            await self._work_all(reconciler, self._signing)
        finally:
            self._is_working = False
            self._queue.clear()
            self._paused.clear()
            self._keeper.leave()
            self._rounds.drop_all()

    async def _work_all(self, reconciler: Reconciler, known: Signing) -> None:
        workers = Workers(self._queue, self._servers, self._keeper, self._meters, reconciler)
        async with asyncio.TaskGroup() as group:
            workers.start(group)
            group.create_task(self._barrier.follow(self._wake_all))
            group.create_task(self._keeper.follow(known))
            group.create_task(self._healths.run())

    def _reconciler(self, signing: Signing) -> Reconciler:
        upgrades = Upgrades(self._turn_came, lambda: under_way(self._world))
        intents = Intents(
            platform=self._platform,
            signing=signing,
            world=self._world,
            rounds=self._rounds,
            issuer=self._issuer,
            upgrades=upgrades,
            carrying=Carrying(self._world),
            now=self._outside.now,
            entropy=self._outside.entropy,
        )
        conclusions = Conclusions(
            servers=self._servers,
            world=self._world,
            statuses=Statuses(self._api, self._servers),
            events=self._events,
            upgrades=upgrades,
            refusals=Refusals(self._api, self._world, self._outside.now),
            now=self._outside.now,
        )
        owners, writer = Owners(self._api, self._servers), Writer(self._api, self._world)
        return Reconciler(
            platform=self._platform,
            servers=self._servers,
            owners=owners,
            world=self._world,
            writer=writer,
            intents=intents,
            hosts=Hosts(self._world, self._changed),
            scalers=Scalers(self._api),
            followers=Followers(self._api, self._world, self._rounds),
            rounds=self._rounds,
            issuer=self._issuer,
            conclusions=conclusions,
            now=self._outside.now,
            settled=self._settled,
            paused=self._paused,
            upgrades=upgrades,
            pruner=Pruner(self._world, owners, writer),
            withdrawals=Withdrawals(self._world, owners, writer),
        )

    def _turn_came(self, key: Key) -> None:
        self._settled.changed(key)
        self._wake(key, Priority.ROUTINE)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(spread(RESYNC_SECONDS))
            self._wake_all()


def _why(task: asyncio.Task[None]) -> str:
    return "it was cancelled" if task.cancelled() else repr(task.exception())
