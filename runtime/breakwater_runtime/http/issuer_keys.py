"""The public keys of the OAuth issuer: fetched in the background, the last good ones stay."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import orjson
from prometheus_client import Counter

from breakwater_contract.access import Jwt
from breakwater_runtime.http import jwks
from breakwater_runtime.http.fetch import Fetch, FetchError
from breakwater_runtime.http.jwks import KeySet

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 300.0
"""How old the keys may get. A key that its issuer withdraws is good for that much longer."""

FLOOR_SECONDS = 30.0
"""How long at least lies between two fetches: tokens with made-up key ids must not turn us into a
flood for the issuer."""

POLL_SECONDS = 1.0
"""How often it is looked whether the settings have changed or a fetch is due."""

OPENID_METADATA = "/.well-known/openid-configuration"
OAUTH_METADATA = "/.well-known/oauth-authorization-server"

Where = tuple[str, str | None, str | None]


class IssuerKeys:
    """The keys of the issuer that the settings name at the moment."""

    def __init__(
        self,
        settings: Callable[[], Jwt | None],
        *,
        fetch: Fetch,
        elapsed: Callable[[], float],
        fetches: Counter,
    ) -> None:
        """Nothing has been fetched yet; `fetch` gets what is at a URL."""
        self._settings = settings
        self._fetch = fetch
        self._elapsed = elapsed
        self._fetches = fetches
        self._where: Where | None = None
        self._keys: KeySet | None = None
        self._tried: float | None = None
        self._failures = 0
        self._fetching: asyncio.Task[None] | None = None
        self._fault: str | None = None

    @property
    def keys(self) -> KeySet | None:
        """The last good ones; None: there have been none yet."""
        return self._keys if self._where == _where(self._settings()) else None

    @property
    def fault(self) -> str | None:
        """Why the newest keys could not be had; None: they could, or nobody asks for any."""
        jwt = self._settings()
        if jwt is None:
            return None
        if self._where != _where(jwt):
            return "the issuer's keys have not been fetched yet"
        return self._fault

    async def watch(self) -> None:
        """Keep the keys fresh, for ever."""
        while True:
            if self._due():
                await self.refresh()
            await asyncio.sleep(POLL_SECONDS)

    async def refresh(self) -> None:
        """Fetch the keys, unless that was tried a moment ago; wait for a fetch under way."""
        jwt = self._settings()
        if jwt is None:
            return
        if self._fetching is None or self._fetching.done():
            if self._age(jwt) < self._pause():
                return
            self._tried = self._elapsed()
            if self._where != _where(jwt):
                self._where, self._keys, self._failures = _where(jwt), None, 0
            self._fetching = asyncio.create_task(self._load(jwt))
        # The fetch belongs to all who wait for it: one who goes away does not end it.
        await asyncio.wait({self._fetching})

    def _due(self) -> bool:
        jwt = self._settings()
        if jwt is None:
            return False
        return self._age(jwt) >= (self._pause() if self._failures else REFRESH_SECONDS)

    def _age(self, jwt: Jwt) -> float:
        if self._tried is None or self._where != _where(jwt):
            return float("inf")
        return self._elapsed() - self._tried

    def _pause(self) -> float:
        """Say how long to wait after the last try: briefly while there are no keys at all."""
        if self._failures and self._keys is None:
            return min(FLOOR_SECONDS, 2.0 ** (self._failures - 1))
        return FLOOR_SECONDS

    async def _load(self, jwt: Jwt) -> None:
        where = _where(jwt)
        try:
            url = jwt.jwks_url or await self._discover(jwt)
            keys = jwks.parse(await self._fetch(url, jwt.authorities))
        except (FetchError, ValueError) as error:
            self._fetches.labels("failed").inc()
            logger.warning("issuer keys not fetched", extra={"fault": str(error)})
            if self._where == where:
                self._fault, self._failures = str(error), self._failures + 1
            return
        self._fetches.labels("loaded").inc()
        if self._where == where:
            self._keys, self._fault, self._failures = keys, None, 0

    async def _discover(self, jwt: Jwt) -> str:
        """Ask the issuer where its keys are.

        Raises:
            FetchError: It does not say, or names a place that nobody configured.
        """
        said = orjson.loads(await self._metadata(jwt))
        if not isinstance(said, dict) or said.get("issuer") != jwt.issuer:
            raise FetchError(f"the metadata of {jwt.issuer} is not about that issuer")
        url = said.get("jwks_uri")
        if not isinstance(url, str) or _origin(url) != _origin(jwt.issuer):
            raise FetchError(
                f"the metadata of {jwt.issuer} names no jwks_uri under the same scheme, host and "
                "port; if its keys are elsewhere, write access.jwt.jwksUrl"
            )
        return url

    async def _metadata(self, jwt: Jwt) -> bytes:
        parts = urlsplit(jwt.issuer)
        path = parts.path.rstrip("/")
        with contextlib.suppress(FetchError):
            return await self._fetch(jwt.issuer.rstrip("/") + OPENID_METADATA, jwt.authorities)
        url = f"{parts.scheme}://{parts.netloc}{OAUTH_METADATA}{path}"
        return await self._fetch(url, jwt.authorities)


def _where(jwt: Jwt | None) -> Where | None:
    return (jwt.issuer, jwt.jwks_url, jwt.authorities) if jwt else None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
