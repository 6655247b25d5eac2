"""Writing the status of a server, when and only when it says something else."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from breakwater_operator.api.names import STATUS_MANAGER
from breakwater_operator.api.reasons import Reason
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.kinds import MCP_SERVER
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.servers import Servers

Object = dict[str, Any]

SOON_SECONDS = 5.0
"""Between two writes of one server that change nothing but numbers and words: a rollout changes
them with every pod, and somebody may be looking."""

SPARE = 20
SPARE_EVERY_SECONDS = 10.0
"""How many such writes there may be of all servers together, and how often one more: each is one
for the API server and one for everybody who watches."""

ROLLOUTS_MAX = 10
"""With how many rollouts at once nobody follows each: once one is done something has turned, and
all is written with that."""

DETAIL_SECONDS = 60.0
"""Between two of one server where there are none to spare."""

ROLLOUT_SECONDS = 900.0
"""The same while its pods are replaced: what does not get on turns something, when the deadline of
its Deployment is over (ten minutes, `progressDeadlineSeconds`)."""


@dataclass(frozen=True)
class Written:
    """What came of a status."""

    is_new: bool
    """Whether it was written."""
    again_seconds: float | None = None
    """When to write it, where that can wait."""


class Statuses:
    """Writes statuses, bound to the state of the server that they were concluded from."""

    def __init__(
        self, api: KubeApi, servers: Servers, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Remember nothing yet.

        Args:
            api: Where to write.
            servers: Where answers are put.
            clock: Seconds that only go up.
        """
        self._api = api
        self._servers = servers
        self._clock = clock
        self._spare = Spare(clock)
        self._futile: dict[Key, tuple[Object, Object | None]] = {}
        self._written: dict[Key, float] = {}
        self._rolling: set[Key] = set()

    async def write(self, live: Object, status: Object) -> Written:
        """Write a status where it differs, at once where it turned.

        Raises:
            ApiError: It could not be written; 409 when the server changed meanwhile.
        """
        metadata = live["metadata"]
        key = metadata["namespace"], metadata["name"]
        was = live.get("status")
        # A status that the API server stores in another way is not written again and again.
        if status == was or self._futile.get(key) == (status, was):
            return Written(is_new=False)
        if was is not None and _gist(was) == _gist(status) and (wait := self._wait(key, status)):
            return Written(is_new=False, again_seconds=wait)
        names = ("namespace", "name", "uid", "resourceVersion")
        manifest = {
            "apiVersion": MCP_SERVER.api_version,
            "kind": MCP_SERVER.name,
            "metadata": {name: metadata[name] for name in names},
            "status": status,
        }
        with self._servers.writing(key):
            answer = await self._api.apply(
                MCP_SERVER, manifest, manager=STATUS_MANAGER, part="status"
            )
            self._servers.wrote(answer)
        self._written[key] = self._clock()
        (self._rolling.add if _is_rolling(status) else self._rolling.discard)(key)
        self._futile.pop(key, None)
        if answer.get("status") != status:
            self._futile[key] = (status, answer.get("status"))
        return Written(is_new=True)

    def _wait(self, key: Key, status: Object) -> float:
        """Say how long numbers and words have to wait."""
        if key not in self._written:
            return 0.0
        since = self._clock() - self._written[key]
        if since < SOON_SECONDS:
            return SOON_SECONDS - since
        apart = ROLLOUT_SECONDS if _is_rolling(status) else DETAIL_SECONDS
        if since >= apart or (len(self._rolling) <= ROLLOUTS_MAX and self._spare.take()):
            return 0.0
        return min(apart - since, DETAIL_SECONDS)

    def forget(self, key: Key) -> None:
        """Forget a server that is gone."""
        self._futile.pop(key, None)
        self._written.pop(key, None)
        self._rolling.discard(key)


class Spare:
    """A few writes that nobody needs, as long as they stay few."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with all."""
        self._clock = clock
        self._left = float(SPARE)
        self._at = clock()

    def take(self) -> bool:
        """Take one; False: there is none."""
        now = self._clock()
        self._left = min(SPARE, self._left + (now - self._at) / SPARE_EVERY_SECONDS)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _is_rolling(status: Object) -> bool:
    return any(one["reason"] == Reason.ROLLING_OUT for one in status.get("conditions") or ())


def _gist(status: Object) -> Object:
    """A status without numbers and words."""
    kept = {key: value for key, value in status.items() if key not in COUNTS}
    conditions = status.get("conditions") or ()
    kept["conditions"] = [
        {key: value for key, value in one.items() if key not in WORDS} for one in conditions
    ]
    return kept


COUNTS = frozenset({"replicas", "readyReplicas", "sessions"})
WORDS = frozenset({"message", "lastTransitionTime"})
