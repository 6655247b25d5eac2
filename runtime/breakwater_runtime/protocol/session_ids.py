"""Ids of sessions: sealed, so that every pod of the server knows from one where its session is.

Nothing else tells a pod of its peers. A client cannot make an id, read one, or use somebody else's.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from breakwater_contract.names import FORWARD_VERSION
from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.sealing import Purpose, Ring, SealError

DIGEST_CHARACTERS = 32
"""Of a principal's SHA-256: names may be long, and ids travel with every request."""


KEPT_MAX = 4096
"""How many ids are remembered with what they say: clients send theirs with every request."""


@dataclass(frozen=True, slots=True)
class Pod:
    """One process of this server, and how the others reach it."""

    address: str = ""
    """Host and port of its internal port; empty: it cannot be reached."""
    uid: str = ""
    """The pod's uid: an address may belong to another pod the next day."""
    boot: str = ""
    """Which process of the pod: a restarted container knows none of its sessions."""
    version: int = FORWARD_VERSION
    """The newest version of the forward protocol that it takes."""


class SessionIds:
    """Makes ids for sessions of this process, and finds out where those of others are."""

    def __init__(
        self, ring: Callable[[], Ring], here: Pod, now_seconds: Callable[[], float]
    ) -> None:
        """Seal with the ring of the moment; `now_seconds` tells the time of day."""
        self.here = here
        self._ring = ring
        self._now_seconds = now_seconds
        self._kept: dict[tuple[str, str], tuple[Ring, float, Pod]] = {}

    def make(self, principal: str, lifetime_seconds: float) -> str:
        """Make the id of a new session of a principal."""
        pod = self.here
        content = {
            "principal": _digest(principal),
            "address": pod.address,
            "uid": pod.uid,
            "boot": pod.boot,
            "forward": pod.version,
            "expires": int(self._now_seconds() + lifetime_seconds),
        }
        return self._ring().seal(Purpose.SESSION, orjson.dumps(content))

    def elsewhere(self, session_id: str, principal: str) -> Pod:
        """Say where the session of an id is that this process does not know.

        Raises:
            Refused: Nowhere: it has ended, is somebody else's, or never was.
        """
        ring, now = self._ring(), self._now_seconds()
        kept = self._kept.get((session_id, principal))
        if kept is not None and kept[0] is ring and now < kept[1]:
            return kept[2]
        try:
            said = orjson.loads(ring.open(Purpose.SESSION, session_id))
            expires, pod = float(said["expires"]), _pod(said)
            is_owners = said["principal"] == _digest(principal)
        except (SealError, ValueError, LookupError, TypeError) as error:
            raise Refused(Problem.SESSION_NOT_FOUND) from error
        if not is_owners or expires <= now or not pod.address or pod.uid == self.here.uid:
            raise Refused(Problem.SESSION_NOT_FOUND)
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[session_id, principal] = ring, expires, pod
        return pod


def _pod(said: Any) -> Pod:
    return Pod(str(said["address"]), str(said["uid"]), str(said["boot"]), int(said["forward"]))


def _digest(principal: str) -> str:
    return hashlib.sha256(principal.encode("utf-8", "surrogatepass")).hexdigest()[
        :DIGEST_CHARACTERS
    ]
