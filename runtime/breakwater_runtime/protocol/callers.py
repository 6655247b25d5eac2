"""Who asks, as one pod tells another: sealed, short-lived, and never the caller's credential."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from breakwater_runtime.calls import Principal, Request
from breakwater_runtime.protocol.session_ids import Pod
from breakwater_runtime.sealing import Purpose, Ring, SealError

LIFETIME_SECONDS = 60
"""How long an assertion is good: longer than clocks of two nodes may be apart."""

KEPT_SECONDS = 20
"""How long it is sent again instead of sealing another one."""

KEPT_MAX = 4096


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and through which pod."""

    principal: Principal
    address: str
    secure: bool
    edge: Pod


class Callers:
    """Writes assertions, and reads those of peers."""

    def __init__(
        self, ring: Callable[[], Ring], here: Pod, now_seconds: Callable[[], float]
    ) -> None:
        """Seal with the ring of the moment; `now_seconds` tells the time of day."""
        self._ring = ring
        self._here = here
        self._now_seconds = now_seconds
        self._kept: OrderedDict[tuple[Any, ...], tuple[float, Ring, bytes]] = OrderedDict()

    def write(self, request: Request, principal: Principal) -> bytes:
        """Say who asks in a request."""
        key = (principal, request.address, request.secure)
        now, ring = self._now_seconds(), self._ring()
        kept = self._kept.get(key)
        if kept is not None and kept[0] > now and kept[1] is ring:
            return kept[2]
        sealed = ring.seal(Purpose.CALLER, orjson.dumps(self._said(request, principal, now)))
        self._kept[key] = (now + KEPT_SECONDS, ring, sealed.encode())
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return sealed.encode()

    def _said(self, request: Request, principal: Principal, now: float) -> dict[str, Any]:
        here, methods = self._here, principal.methods
        return {
            "name": principal.name,
            "scopes": sorted(principal.scopes),
            "methods": None if methods is None else sorted(methods),
            "address": request.address,
            "secure": request.secure,
            "edge": {"address": here.address, "uid": here.uid, "forward": here.version},
            "expires": int(now + LIFETIME_SECONDS),
        }

    def read(self, sealed: str) -> Caller:
        """Read a peer's assertion; what a later version says beyond this is passed over.

        Raises:
            SealError: It is not one, or has expired.
        """
        try:
            said = orjson.loads(self._ring().open(Purpose.CALLER, sealed))
            if said["expires"] <= self._now_seconds():
                raise SealError
            return _caller(said)
        except (ValueError, LookupError, TypeError) as error:
            raise SealError from error


def _caller(said: Any) -> Caller:
    methods, edge = said["methods"], said["edge"]
    return Caller(
        Principal(
            str(said["name"]),
            frozenset(said["scopes"]),
            None if methods is None else frozenset(methods),
        ),
        str(said["address"]),
        bool(said["secure"]),
        Pod(str(edge["address"]), str(edge["uid"]), "", int(edge["forward"])),
    )
