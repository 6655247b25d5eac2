"""Starting what does not run, and waiting until it does what it is for."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from dev.cluster.api import ApiError, UnreachableError
from dev.cluster.local import processes
from dev.cluster.progress import elapsed
from dev.cluster.provider import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dev.cluster.local.processes import Service
    from dev.cluster.local.state import Layout

POLL_SECONDS = 0.05
_LOOK_SECONDS = 0.5
_DEATHS_MAX = 5
"""After so many deaths of one service during one start, waiting longer helps nobody."""


class Startup:
    """One run of `up`: services wanted so far, and what became of them.

    Args:
        layout: whose services they are.
        environment: what they inherit.
        died: told the service's name, and how often it has died, before it is started again.
    """

    def __init__(
        self,
        layout: Layout,
        environment: Mapping[str, str],
        died: Callable[[str, int], None] = lambda _name, _deaths: None,
    ) -> None:
        self._layout = layout
        self._environment = environment
        self._died = died
        self._wanted: dict[str, Service] = {}
        self._deaths: Counter[str] = Counter()
        self._started: dict[str, float] = {}
        self._looked = 0.0
        self.began = time.monotonic()
        self.started_at: dict[str, float] = {}
        """When, by the wall clock, each service was started by this run."""

    @property
    def seconds(self) -> float:
        """How long this run has taken so far."""
        return time.monotonic() - self.began

    def want(self, *services: Service) -> None:
        """Start services that do not run, and restart those whose configuration changed."""
        running = processes.running(self._layout)
        for service in services:
            self._wanted[service.name] = service
            process = running.get(service.name)
            if process and process.fingerprint != service.fingerprint:
                processes.stop([process])
                process = None
            if not process:
                self._start(service)

    def wait(self, what: str, done: Callable[[], Any], *, seconds: float) -> None:
        """Poll until `done` is true, reviving services that die meanwhile.

        Raises:
            ClusterError: it took too long, or a service dies again and again.
        """
        end = time.monotonic() + seconds
        reason = "it said no"
        while True:
            try:
                if done():
                    return
            except (ApiError, UnreachableError) as error:
                reason = str(error)
            if time.monotonic() > end:
                raise ClusterError(
                    f"{what}: not after {elapsed(seconds)} ({reason}); the logs are in "
                    f"{self._layout.logs}"
                )
            self._revive()
            time.sleep(POLL_SECONDS)

    def _revive(self) -> None:
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        running = processes.running(self._layout)
        for name, service in self._wanted.items():
            if name not in running and self._rested(name):
                self._deaths[name] += 1
                if self._deaths[name] > _DEATHS_MAX:
                    tail = self._tail(name)
                    raise ClusterError(f"{name} does not stay up; its log ends:\n{tail}")
                self._died(name, self._deaths[name])
                self._start(service)

    def _rested(self, name: str) -> bool:
        """Whether long enough has passed to try again: longer after each death."""
        since = time.monotonic() - self._started.get(name, 0.0)
        return since > _LOOK_SECONDS * (1 << self._deaths[name])

    def _start(self, service: Service) -> None:
        # Rounded down: the API server writes whole seconds.
        self.started_at[service.name] = float(int(time.time()))
        self._looked = self._started[service.name] = time.monotonic()
        processes.start(self._layout, service, self._environment)

    def _tail(self, name: str) -> str:
        log = self._layout.logs / f"{name}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
