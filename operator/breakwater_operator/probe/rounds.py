"""Keeping in touch with every pod: a handshake after changes, a light look now and then."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from breakwater_contract.metrics import SERVER_HEALTH
from breakwater_operator.probe.prober import HandshakeError, Prober, Target
from breakwater_operator.status.facts import Probe

log = logging.getLogger(__name__)

Key = tuple[str, str]

AT_ONCE_MAX = 64
"""Pods asked at the same time."""

HEALTH_SECONDS = 30.0
"""Between two looks at a pod that is well."""

PENDING_SECONDS = 1.0
"""Between two looks at a pod that is to take over new settings, or that did not answer."""

TAKEOVER_SECONDS = (0.1, 0.2, 0.4)
"""Between the first looks at a pod that was just told of new settings: mostly it has them within
half a second, and whoever changed them waits to see it."""

FAILURES_MAX = 3
"""How many times in a row a pod may fail to answer before what it said last no longer counts."""

HEALTHY, UNHEALTHY, UNREACHED = SERVER_HEALTH.values["outcome"]

FIRST_ANSWER_SECONDS = 1.0
"""How long a pass waits for pods that have never been asked.

Most answer in milliseconds, and then one status says everything; a pod that takes longer is told of
by a later pass.
"""


@dataclass(frozen=True)
class Followed:
    """One life of a pod's container that is asked."""

    target: Target
    restarts: int
    """How often its container was restarted: each time it has to say everything anew."""
    is_ready: bool
    """Whether kubelet finds it ready; when that changes, it is asked again."""


@dataclass
class _Pod:
    """What is remembered of a pod."""

    followed: Followed
    wanted: str | None
    probe: Probe | None = None
    shaken: str | None = None
    """The live hash that its last handshake was made under."""
    failures: int = 0
    looks: int = 0
    """How often it was looked at since it was told of new settings."""
    awaited: bool = False
    """Whether a pass waits for the first answer, and need not be woken by it."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    look: asyncio.Task[None] | None = None
    """The last look at it, or the one that goes on."""
    due: asyncio.TimerHandle | None = None
    """When the next look begins; None while one goes on."""
    is_nudged: bool = False
    """Whether it is to be asked again as soon as the look that goes on has ended."""


class Rounds:
    """Asks all pods, and tells when an answer is a new one."""

    def __init__(
        self,
        prober: Prober,
        changed: Callable[[Key], None],
        count: Callable[[str], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Ask nobody yet.

        Args:
            prober: Asks one pod.
            changed: Told of each server whose pods answered something new.
            count: Told of each handshake: `verified`, `failed` or `unreached`.
            chance: A number from 0 to 1, so that looks are spread.
        """
        self._prober = prober
        self._changed = changed
        self._count = count
        self._chance = chance
        self._pods: dict[Key, dict[str, _Pod]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def follow(
        self, key: Key, pods: Sequence[Followed], wanted: str | None
    ) -> Mapping[str, Probe]:
        """Follow these pods of a server from now on, and no others.

        Args:
            key: The server.
            pods: Its pods that run.
            wanted: The live hash that they should report; None where nobody can say.

        Returns:
            What is known of each pod, by its uid. Pods that are ready and were never asked are
            waited for, but not long.
        """
        known = self._pods.setdefault(key, {})
        for uid in known.keys() - {pod.target.uid for pod in pods}:
            _stop(known.pop(uid))
        for pod in pods:
            self._follow_one(key, pod, wanted)
        new = [one for one in known.values() if one.probe is None and one.followed.is_ready]
        for one in new:
            one.awaited = True
        if new:
            waits = [asyncio.ensure_future(one.answered.wait()) for one in new]
            _, late = await asyncio.wait(waits, timeout=FIRST_ANSWER_SECONDS)
            for waiting in late:
                waiting.cancel()
        for one in new:
            one.awaited = False
        return {uid: one.probe for uid, one in known.items() if one.probe is not None}

    def known(self, key: Key) -> Mapping[str, Probe]:
        """Get what each pod of a server said last, by its uid."""
        pods = self._pods.get(key, {}).items()
        return {uid: one.probe for uid, one in pods if one.probe is not None}

    def followed(self) -> list[Key]:
        """All servers that are followed."""
        return list(self._pods)

    def health(self, key: Key) -> str | None:
        """Say how a server is, by what its pods answered last; None: that is not known yet."""
        if key not in self._pods:
            return None
        ready = [one for one in self._pods[key].values() if one.followed.is_ready]
        said = [one.probe for one in ready if one.probe is not None and not one.failures]
        if any(probe.reached and probe.fault is None for probe in said):
            return HEALTHY
        if any(one.probe is None for one in ready):
            return None
        return UNREACHED if ready and not any(probe.reached for probe in said) else UNHEALTHY

    def all_know(self, kid: str) -> bool:
        """Whether every pod that is followed has said that it knows a key of ours."""
        pods = (one for pods in self._pods.values() for one in pods.values())
        return all(one.probe is not None and kid in one.probe.operator_keys for one in pods)

    def drop(self, key: Key) -> None:
        """Follow no pod of this server any longer."""
        for one in self._pods.pop(key, {}).values():
            _stop(one)

    def drop_all(self) -> None:
        """Follow nobody, until told again."""
        for key in list(self._pods):
            self.drop(key)

    async def close(self) -> None:
        """Follow nobody any longer, and close the connections."""
        looks = [one.look for pods in self._pods.values() for one in pods.values() if one.look]
        self.drop_all()
        await asyncio.gather(*looks, return_exceptions=True)
        await self._prober.close()

    def _follow_one(self, key: Key, pod: Followed, wanted: str | None) -> None:
        known = self._pods[key]
        one = known.get(pod.target.uid)
        if one is None or one.followed.restarts != pod.restarts:
            if one is not None:
                _stop(one)
            one = known[pod.target.uid] = _Pod(pod, wanted)
            self._begin(key, one)
        elif one.followed != pod or one.wanted != wanted:
            one.looks = one.looks if one.wanted == wanted else 0
            one.followed, one.wanted = pod, wanted
            self._nudge(key, one)

    def _begin(self, key: Key, one: _Pod) -> None:
        """Look at a pod now: between looks there is a timer and no task, for pods are many."""
        one.due, one.is_nudged = None, False
        one.look = asyncio.create_task(self._look(key, one))

    def _nudge(self, key: Key, one: _Pod) -> None:
        if one.due is None:
            one.is_nudged = True
            return
        one.due.cancel()
        self._begin(key, one)

    async def _look(self, key: Key, one: _Pod) -> None:
        async with self._turns:
            before, probe = one.probe, await self._ask_safely(one)
        one.failures = 0 if probe.reached else one.failures + 1
        if probe.reached or before is None or one.failures >= FAILURES_MAX:
            one.probe = probe
        one.answered.set()
        if one.probe != before and not one.awaited:
            self._changed(key)
        pause = 0.0 if one.is_nudged else self._pause_seconds(one)
        one.due = asyncio.get_running_loop().call_later(pause, self._begin, key, one)

    async def _ask_safely(self, one: _Pod) -> Probe:
        try:
            return await self._ask(one)
        except Exception:
            # A pod runs code that is not ours: whatever it answers, it is asked again.
            log.exception("probe failed", extra={"pod": one.followed.target.uid})
            return Probe(reached=False, fault="its answer could not be understood")

    async def _ask(self, one: _Pod) -> Probe:
        before = one.probe
        known = before.operator_keys if before is not None else ()
        target = replace(one.followed.target, keys=known)
        probe = await self._prober.health(target)
        if not probe.reached:
            self._count("unreached")
            return probe
        if before is not None and before.server is not None and one.shaken == probe.live:
            return replace(probe, server=before.server)
        try:
            server = await self._prober.handshake(replace(target, keys=probe.operator_keys))
        except HandshakeError as error:
            self._count("failed")
            return replace(probe, fault=probe.fault or str(error))
        self._count("verified")
        one.shaken = probe.live
        return replace(probe, server=server)

    def _pause_seconds(self, one: _Pod) -> float:
        probe = one.probe
        is_known = probe is not None and probe.server is not None
        is_current = (
            probe is not None and probe.settings_fault is None and one.wanted in {None, probe.live}
        )
        if is_known and is_current and not one.failures:
            return HEALTH_SECONDS * (0.8 + 0.4 * self._chance())
        one.looks += 1
        if is_known and not one.failures and one.looks <= len(TAKEOVER_SECONDS):
            return TAKEOVER_SECONDS[one.looks - 1]
        return min(HEALTH_SECONDS, PENDING_SECONDS * 2.0 ** max(0, one.failures - FAILURES_MAX))


def _stop(one: _Pod) -> None:
    if one.look is not None:
        one.look.cancel()
    if one.due is not None:
        one.due.cancel()
