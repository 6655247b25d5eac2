"""One request after the other to the API server: sent, counted, read."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import orjson
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from breakwater_operator.kube import answers
from breakwater_operator.kube.answers import Object
from breakwater_operator.kube.errors import ApiError, from_answer
from breakwater_operator.kube.gathering import Gathering
from breakwater_operator.kube.kinds import LEASE, Kind
from breakwater_operator.kube.pool import Pool
from breakwater_operator.kube.stream import Stream
from breakwater_operator.kube.wire import Address, Answer, lines, request

Count = Callable[[str, str, str], None]
"""Told of each answer: verb, kind, status code."""

Headers = tuple[tuple[str, str], ...]

REQUEST_SECONDS = 15.0
"""How long one answer may take; the API server itself gives most requests up after a minute, but a
pass that hangs that long keeps a user's next edit waiting."""

USER_AGENT = "breakwater-operator"

HEADS_MAX = 32
"""Heads that are kept ready: there are a dozen, but for tokens and etags that change."""


class Asking:
    """Requests to one API server. Every failure is a `ApiError` with the server's own message."""

    def __init__(self, configuration: Configuration, count: Count) -> None:
        """Open no connection yet.

        Args:
            configuration: Address and credentials; a changed token is picked up.
            count: Told of each answer.
        """
        self._configuration = configuration
        self._pool: Pool | None = None
        where = urlsplit(configuration.host)
        self._host, self._root = where.netloc, where.path.rstrip("/")
        self._count = count
        self._head = lru_cache(HEADS_MAX)(lines)
        self.gathering = Gathering()
        """To be run beside the requests."""
        self.may_write: Callable[[], bool] = lambda: True
        """Asked right before each write; the Lease that answers it is written all the same."""

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.close()

    async def ask(
        self,
        verb: str,
        method: str,
        kind: Kind,
        path: str,
        *,
        body: Any = None,
        headers: Headers = (),
    ) -> Object:
        """Send a request, and read the JSON that it is answered with."""
        answer = await self.answer(verb, method, kind, path, body, headers)
        try:
            # Only who reads a single object may want to know by whom it was written.
            said: Object = (
                orjson.loads(answer.body)
                if verb == "get"
                else answers.without_managers(answer.body)
            )
        except ValueError as error:
            raise ApiError(f"{verb} {kind.name}: {error!r}") from error
        return said

    async def answer(
        self, verb: str, method: str, kind: Kind, path: str, body: Any, headers: Headers
    ) -> Answer:
        """Send a request, and get its answer as it came."""
        is_read = method == "GET"
        if not is_read and kind != LEASE and not self.may_write():
            asked = _asked(verb, kind, path)
            raise ApiError(f"{asked}: not sent, since another operator may be leading")
        message = await self._message(method, path, headers, body)
        try:
            answer = await (self._sent(message, is_safe=True) if is_read else self._write(message))
        except OSError as error:
            raise self._failed(verb, kind, path, error) from error
        self._check(verb, kind, path, answer)
        return answer

    async def open(self, verb: str, kind: Kind, path: str, headers: Headers) -> Stream:
        """Send a request whose answer is read line by line; the caller closes what it gets."""
        message = await self._message("GET", path, headers, None)
        try:
            answer, stream = await self._connected().open(message, REQUEST_SECONDS)
        except OSError as error:
            raise self._failed(verb, kind, path, error) from error
        try:
            self._check(verb, kind, path, answer)
        except ApiError:
            stream.close()
            raise
        return stream

    async def _write(self, message: bytes) -> Answer:
        self.gathering.began()
        try:
            return await self._sent(message, is_safe=False)
        finally:
            self.gathering.ended()

    async def _sent(self, message: bytes, *, is_safe: bool) -> Answer:
        return await self._connected().ask(message, REQUEST_SECONDS, is_safe=is_safe)

    def _failed(self, verb: str, kind: Kind, path: str, error: OSError) -> ApiError:
        self._count(verb, kind.name, "none")
        return ApiError(f"{_asked(verb, kind, path)}: {error!r}")

    def _check(self, verb: str, kind: Kind, path: str, answer: Answer) -> None:
        self._count(verb, kind.name, str(answer.status))
        if answer.status >= 400:
            asked, said = _asked(verb, kind, path), answers.status(answer.body)
            raise from_answer(asked, answer.status, said, answer.headers)

    async def _message(self, method: str, path: str, headers: Headers, body: Any) -> bytes:
        settings = await self._configuration.auth_settings()
        bearer = settings.get("BearerToken")
        said = (("Host", self._host), ("User-Agent", USER_AGENT), *headers)
        if bearer and bearer["value"]:
            said = (*said, ("Authorization", bearer["value"]))
        head = self._head(said)
        content = orjson.dumps(body) if body is not None else None
        return request(method, self._root + path, head, content)

    def _connected(self) -> Pool:
        """Open connections only when there is a loop to have them in."""
        if self._pool is None:
            limit = self._configuration.connection_pool_maxsize
            self._pool = Pool(address(self._configuration), limit)
        return self._pool


def address(configuration: Configuration) -> Address:
    """Where an API server listens, and how to be sure of it.

    The official client reads how to reach a cluster; its own requests cost several times as much.
    """
    where = urlsplit(configuration.host)
    is_secure = where.scheme == "https"
    proxy = urlsplit(configuration.proxy) if configuration.proxy else None
    return Address(
        host=where.hostname or "",
        port=where.port or (443 if is_secure else 80),
        tls=RESTClientObject(configuration).ssl_context if is_secure else None,
        name=configuration.tls_server_name,
        proxy=(proxy.hostname or "", proxy.port or 80) if proxy is not None else None,
    )


def _asked(verb: str, kind: Kind, path: str) -> str:
    return f"{verb} {kind.name} {path.partition('?')[0]}"
