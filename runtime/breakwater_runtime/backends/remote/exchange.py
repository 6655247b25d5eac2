"""Tokens for tokens (RFC 8693), kept until they expire."""

import asyncio
import hashlib
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from breakwater_contract.remote import Exchange

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type, no token

KEPT = 4096
"""Tokens that are remembered."""

EARLY_SECONDS = 30.0
"""How long before its end a token is no longer used."""

LIFE_SECONDS_DEFAULT = 60.0
"""How long one is good whose life the issuer does not say."""

SECONDS_MAX = 10.0
BYTES_MAX = 256 * 1024


class ExchangeError(Exception):
    """The issuer made no token; the message says why, and repeats none."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        """Say whether another attempt could help."""
        super().__init__(message)
        self.retryable = retryable


Post = Callable[[str, Mapping[str, str], tuple[str, str]], Awaitable[tuple[int, Any]]]
"""Posts a form with a name and password; returns the status and the JSON of the answer."""


class Exchanger:
    """Gets tokens of an issuer: for callers by theirs, for ourselves by our own secret."""

    def __init__(
        self, settings: Exchange, folder: Path, post: Post, clock: Callable[[], float]
    ) -> None:
        """Ask by `post`; remember by a clock that only goes forward."""
        self._settings = settings
        self._secret = folder / settings.client_secret_file
        self._post = post
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[str]] = {}

    async def token(self, subject: str | None) -> str:
        """Get a token for the bearer of another; None: for ourselves.

        Raises:
            ExchangeError: There is none.
        """
        key = hashlib.sha256((subject or "").encode()).digest()
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._clock():
            return kept[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(key, subject))
            self._asking[key] = asking
            asking.add_done_callback(lambda done: self._asked(key, done))
        return await asyncio.shield(asking)

    def _asked(self, key: bytes, done: asyncio.Task[str]) -> None:
        self._asking.pop(key, None)
        if not done.cancelled():
            done.exception()

    async def _ask(self, key: bytes, subject: str | None) -> str:
        try:
            secret = self._secret.read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise ExchangeError(f"{self._secret.name} cannot be read", retryable=True) from error
        settings = self._settings
        status, answer = await self._post(
            settings.url, self._form(subject), (settings.client_id, secret)
        )
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if status != 200 or not isinstance(token, str) or not token.isprintable():
            said = answer.get("error") if isinstance(answer, dict) else None
            raise ExchangeError(
                f"{settings.url} answered {status} {str(said)[:64]}", retryable=status >= 500
            )
        lives = answer.get("expires_in")
        seconds = float(lives) if isinstance(lives, int | float) else LIFE_SECONDS_DEFAULT
        self._kept[key] = (self._clock() + max(0.0, seconds - EARLY_SECONDS), token)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return token

    def _form(self, subject: str | None) -> dict[str, str]:
        settings, form = self._settings, {"grant_type": "client_credentials"}
        if subject is not None:
            form = {
                "grant_type": GRANT,
                "subject_token": subject,
                "subject_token_type": ACCESS_TOKEN,
                "requested_token_type": ACCESS_TOKEN,
            }
        if settings.audience is not None:
            form["audience"] = settings.audience
        if settings.scopes:
            form["scope"] = " ".join(settings.scopes)
        return form


async def post(
    url: str, form: Mapping[str, str], basic: tuple[str, str], trust: ssl.SSLContext | None = None
) -> tuple[int, Any]:
    """Post a form over HTTP, bounded in time and size.

    Raises:
        ExchangeError: There was no answer.
    """
    # Few backends exchange tokens: the library is imported by those that do.
    import httpx2

    try:
        async with (
            asyncio.timeout(SECONDS_MAX),
            # The environment could send us to a proxy, or to other authorities.
            httpx2.AsyncClient(
                verify=trust or ssl.create_default_context(), trust_env=False
            ) as client,
            client.stream("POST", url, data=dict(form), auth=basic) as response,
        ):
            content = b""
            async for part in response.aiter_bytes():
                content += part
                if len(content) > BYTES_MAX:
                    raise ExchangeError(f"{url} answers too much", retryable=False)
            return response.status_code, _json(content)
    except TimeoutError as error:
        raise ExchangeError(f"{url} did not answer in time", retryable=True) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise ExchangeError(f"{url}: {type(error).__name__}", retryable=True) from error


def _json(content: bytes) -> Any:
    import orjson

    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
