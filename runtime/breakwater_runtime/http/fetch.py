"""One GET to a configured address: bounded in time and size, without redirects or proxies."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

SECONDS_MAX = 5.0
BYTES_MAX = 256 * 1024

Fetch = Callable[[str, str | None], Awaitable[bytes]]
"""Get what is at a URL; the second argument is the authorities to trust if not the public ones: a
file, or the PEM itself. Raises FetchError."""

PEM = "-----BEGIN"


class FetchError(Exception):
    """What was asked for could not be had; the message says why."""


async def fetch(url: str, authorities: str | None) -> bytes:
    """Get what is at a URL.

    Raises:
        FetchError: There was no answer, another one than 200, or too much of it.
    """
    # Most servers never fetch anything: the library is imported by those that do.
    import httpx2

    try:
        async with (
            asyncio.timeout(SECONDS_MAX),
            # The environment could send us to a proxy, or to other authorities.
            httpx2.AsyncClient(verify=_trust(authorities), trust_env=False) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as response,
        ):
            if response.status_code != 200:
                raise FetchError(f"{url} answered {response.status_code}; wanted 200")
            content = b""
            async for part in response.aiter_bytes():
                content += part
                if len(content) > BYTES_MAX:
                    raise FetchError(f"{url} answered more than {BYTES_MAX} bytes")
            return content
    except TimeoutError as error:
        raise FetchError(f"{url} did not answer within {SECONDS_MAX:g} seconds") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise FetchError(f"{url}: {type(error).__name__}: {error}") from error


def _trust(authorities: str | None) -> ssl.SSLContext:
    if authorities is not None and PEM in authorities:
        return ssl.create_default_context(cadata=authorities)
    return ssl.create_default_context(cafile=authorities)
