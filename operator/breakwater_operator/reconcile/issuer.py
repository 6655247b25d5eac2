"""Who makes the tokens of this cluster's service accounts: asked of the API server, and again."""

import asyncio
import json
import logging
from collections.abc import Callable

from breakwater_operator.api.errors import ClusterError, NotReadyError
from breakwater_operator.api.reasons import Reason
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.backoff import Backoff
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.render import Issuer

log = logging.getLogger(__name__)

METADATA = "/.well-known/openid-configuration"
JWKS = "/openid/v1/jwks"

POLL_SECONDS = 60.0
"""Between two questions. A cluster that rotates its keys publishes the new one long before the API
server signs with it."""


class ClusterIssuer:
    """The issuer of the cluster, for the servers that let its service accounts in.

    Without such a server nobody is asked.
    """

    def __init__(self, api: KubeApi, wake: Callable[[Key], None]) -> None:
        """Ask nobody yet.

        Args:
            api: The API server.
            wake: Told of each server that uses the issuer when it changed.
        """
        self._api = api
        self._wake = wake
        self._known: Issuer | None = None
        self._users: set[Key] = set()
        self._reading = asyncio.Lock()
        self._wanted = asyncio.Event()

    async def use(self, key: Key) -> Issuer:
        """Say who it is, for a server that is told of changes from now on.

        Raises:
            ApiError: It was never read and cannot be now; the server is told when it can.
        """
        self._users.add(key)
        self._wanted.set()
        async with self._reading:
            return self._known or await self._read()

    def drop(self, key: Key) -> None:
        """Tell a server of no change any longer."""
        self._users.discard(key)
        if not self._users:
            self._wanted.clear()

    async def run(self) -> None:
        """Ask again now and then, until cancelled."""
        backoff = Backoff(1.0, POLL_SECONDS)
        wait = POLL_SECONDS
        while True:
            await asyncio.sleep(wait)
            await self._wanted.wait()
            try:
                await self._refresh()
            except ClusterError as error:
                log.warning("the cluster's issuer was not read", extra={"error": str(error)})
                wait = backoff.next_seconds()
            else:
                backoff.reset()
                wait = POLL_SECONDS

    async def _refresh(self) -> None:
        before = self._known
        async with self._reading:
            after = await self._read()
        if before != after:
            log.info("the cluster's issuer or its keys changed")
            for key in sorted(self._users):
                self._wake(key)

    async def _read(self) -> Issuer:
        metadata, keys = await self._api.document(METADATA), await self._api.document(JWKS)
        if not isinstance(metadata.get("issuer"), str) or not keys.get("keys"):
            raise ApiError(f"{METADATA} names no issuer, or {JWKS} has no keys")
        # As the server wrote them but always in one order, so that the same keys are the same text.
        text = json.dumps(keys, sort_keys=True, separators=(",", ":"))
        self._known = Issuer(metadata["issuer"], text)
        return self._known


def unknown_issuer(error: ApiError) -> NotReadyError:
    """Say that no service account can be let in yet."""
    return NotReadyError(
        Reason.ISSUER_UNKNOWN,
        f"the issuer and keys of this cluster's service accounts could not be read ({error}); the "
        "operator needs the ClusterRole system:service-account-issuer-discovery, which all service "
        "accounts have by default (their tokens are refused until then)",
    )
