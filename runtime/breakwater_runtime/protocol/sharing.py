"""What this process shares with the other pods of its server: ids that all read, and a way."""

import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_contract.names import internal_host
from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.protocol.callers import Callers
from breakwater_runtime.protocol.forwarded import Forwarded
from breakwater_runtime.protocol.forwarding import Forwarder
from breakwater_runtime.protocol.peers import Peers
from breakwater_runtime.protocol.session_ids import Pod, SessionIds
from breakwater_runtime.protocol.ticker import Ticker
from breakwater_runtime.sealing import Ring


@dataclass(frozen=True)
class Shared:
    """What the processes of one server have in common, as it is at the moment."""

    server_uid: str
    """Whose pods they are."""
    ring: Callable[[], Ring]
    client_tls: Callable[[], ssl.SSLContext | None]
    """How to speak to a peer; None: there are none."""


async def nowhere(*_: object) -> None:
    """Refuse: nothing is served yet.

    Raises:
        Refused: Always.
    """
    raise Refused(Problem.SESSION_NOT_FOUND)


PEERS_MAX = 16
"""How many peers are remembered, for the one time that a pod needs any of them: when it stops."""

TRIED_MAX = 3


class Sharing:
    """One process among those of its server."""

    def __init__(
        self, shared: Shared, here: Pod, now: Callable[[], datetime], forwards: Counter
    ) -> None:
        """Be `here`; count in `forwards` what became of requests that were passed on."""
        self.here = here

        def now_seconds() -> float:
            return now().timestamp()

        self.ids = SessionIds(shared.ring, here, now_seconds)
        self._answer: ASGIApp = nowhere
        self._met_pods: OrderedDict[str, Pod] = OrderedDict()
        self._callers = Callers(shared.ring, here, now_seconds)
        ticker = Ticker()
        self.peers = Peers(shared.client_tls, internal_host(shared.server_uid), ticker)
        self.admit = Forwarded(here, self._callers, self._met)
        """The step that every request on the internal port takes first."""
        self.forwarder = Forwarder(self.peers, self._callers, forwards, ticker)

    def way_to(self, session_id: str, principal: str) -> ASGIApp | None:
        """Get what passes a request on to the pod that has a session; None: no other pod has."""
        try:
            owner = self.ids.elsewhere(session_id, principal)
        except Refused:
            return None
        self._met(owner)
        return partial(self.forwarder.forward, owner)

    def _met(self, pod: Pod) -> None:
        """Remember a peer: ids and callers name those that there are."""
        if pod.address:
            self._met_pods[pod.uid] = pod
            self._met_pods.move_to_end(pod.uid)
            if len(self._met_pods) > PEERS_MAX:
                self._met_pods.popitem(last=False)

    async def hand_on(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Have a request answered by any other pod; False: none is known to be there."""
        for pod in reversed(list(self._met_pods.values())[-TRIED_MAX:]):
            try:
                await self.forwarder.forward(pod, scope, receive, send)
            except Refused as refusal:
                if refusal.problem is Problem.SHUTTING_DOWN:  # it may have been done
                    raise
                del self._met_pods[pod.uid]
            else:
                return True
        return False

    def answer_by(self, app: ASGIApp) -> None:
        """Have what peers pass on answered by `app`."""
        self._answer = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what a peer passes on, once `admit` has let it in."""
        await self._answer(scope, receive, send)
