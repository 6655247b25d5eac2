"""What peers pass on: only from a pod of this server, only for this very pod."""

import logging
from collections.abc import Callable

from starlette.types import Scope

from breakwater_contract.names import FORWARD_OLDEST, FORWARD_VERSION
from breakwater_runtime.calls import Problem, Refused, Request
from breakwater_runtime.protocol.callers import Callers
from breakwater_runtime.protocol.forwarding import (
    CALLER_HEADER,
    OURS,
    POD_HEADER,
    VERSION_HEADER,
)
from breakwater_runtime.protocol.session_ids import Pod
from breakwater_runtime.sealing import SealError

logger = logging.getLogger(__name__)

VERSION_DIGITS_MAX = 4


class Forwarded:
    """Names the caller whom a peer vouches for.

    That the peer is one has been seen by its certificate. What it sends is refused with 404 where
    it is not for us, and the client begins anew: the pod that it meant is gone.
    """

    def __init__(
        self,
        here: Pod,
        callers: Callers,
        met: Callable[[Pod], None],
        versions: tuple[int, int] = (FORWARD_OLDEST, FORWARD_VERSION),
    ) -> None:
        """Take what is for `here` and is spoken in one of the versions, oldest to newest.

        Args:
            here: This process.
            callers: Reads whom peers vouch for.
            met: Told of each peer.
            versions: The oldest and the newest version that is taken.
        """
        self._met = met
        self._here = here
        self._callers = callers
        self._oldest, self._newest = versions

    def __call__(self, scope: Scope, request: Request) -> None:
        """Name the caller for the steps behind, or refuse."""
        said = request.headers
        if said.get(POD_HEADER, b"").decode("latin-1") != self._here.uid:
            raise Refused(Problem.SESSION_NOT_FOUND)
        version = said.get(VERSION_HEADER, b"")
        if not self._takes(version):
            found = version.decode("latin-1")
            logger.error("a peer speaks another version", extra={"version": found})
            raise Refused(Problem.SESSION_NOT_FOUND)
        try:
            caller = self._callers.read(said.get(CALLER_HEADER, b"").decode("latin-1"))
        except SealError as error:
            logger.error("a peer vouches with a seal that is not ours")  # noqa: TRY400 - no trace to see
            raise Refused(Problem.SESSION_NOT_FOUND) from error
        self._met(caller.edge)
        request.principal, request.address = caller.principal, caller.address
        request.secure, request.forwarded = caller.secure, True
        scope["headers"] = [pair for pair in scope["headers"] if not pair[0].startswith(OURS)]

    def _takes(self, version: bytes) -> bool:
        is_number = version.isdigit() and len(version) <= VERSION_DIGITS_MAX
        return is_number and self._oldest <= int(version) <= self._newest
