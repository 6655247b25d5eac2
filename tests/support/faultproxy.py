"""A proxy between the operator and the API server: counts, fails, cuts and stops on demand."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import yaml
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

LATE_SECONDS = 120
"""How long a request may be on its way."""


@dataclass(frozen=True)
class Seen:
    """One request that went through."""

    method: str
    plural: str
    part: str
    namespace: str
    name: str
    is_watch: bool = False
    status: int = 0
    body: bytes = field(default=b"", repr=False, compare=False)
    group: str = ""
    """The API group; empty for the core one, and for paths that are no objects."""
    chosen: str = ""
    """The one name that a list or a watch is of; empty: any."""

    @property
    def verb(self) -> str:
        """What RBAC calls it."""
        if self.method == "GET":
            return "watch" if self.is_watch else "get" if self.name else "list"
        return {"POST": "create", "PUT": "update"}.get(self.method, self.method.lower())

    @property
    def is_write(self) -> bool:
        """Whether it may have changed something; the Lease, always renewed, does not count."""
        return self.method in WRITES and self.plural != "leases"

    @property
    def what(self) -> str:
        """Method and resource, as in `PATCH deployments` or `PATCH mcpservers/status`."""
        return f"{self.method} {self.plural}{'/' if self.part else ''}{self.part}"


@dataclass
class Rule:
    """What happens to some requests instead."""

    matches: Callable[[Seen], bool]
    status: int = 500
    """The answer; 0: none, the connection is closed."""
    message: str = "injected"
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    hold_seconds: float = 0.0
    """How long nothing is answered first."""
    is_after: bool = False
    """Whether the request is carried out and only its answer replaced."""
    late: threading.Event | None = None
    """Until it is set the request is on its way; then it is carried out as if nothing had been."""
    times: int | None = None
    """To how many requests; None: to all."""
    every: int = 1
    """To each so-manieth of those that match."""
    met: int = 0
    """How many have matched so far."""
    hit: int = 0
    """To how many it happened."""


@dataclass
class FaultProxy:
    """Listens on a port of its own, in a thread of its own; use it as a context manager."""

    kubeconfig: Path
    folder: Path
    seen: list[Seen] = field(default_factory=list)
    """Every request that was answered, in order."""
    rules: list[Rule] = field(default_factory=list)
    before_write: Callable[[int], bool] = lambda _: False
    """Told before each write of its number from 1; True: the write is never carried out."""
    after_write: Callable[[int], bool] = lambda _: False
    """Told after each write; True: its answer is never given."""
    tamper: Callable[[Seen, bytes], bytes | None] | None = None
    """Given each line of each watch, it says what is told instead; None: the watch is cut there."""
    acts_as: str = ""
    """Whose rights all requests have; empty: the administrator's."""
    is_stale: bool = False
    """Whether a list is answered with what the first list of its path said."""

    def __enter__(self) -> Self:
        """Start to listen."""
        self.written = 0
        self._held_plural: str | None = None
        self._first_lists: dict[tuple[str, str], web.Response] = {}
        self._streams: dict[asyncio.Task[Any], str] = {}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._started = threading.Event()
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to listen."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    @property
    def path(self) -> Path:
        """A kubeconfig that leads here."""
        return self.folder / "proxy.kubeconfig"

    def writes(self, since: int = 0) -> list[Seen]:
        """The writes among what was seen."""
        return [seen for seen in self.seen[since:] if seen.is_write]

    def asked(self, since: int = 0) -> list[Seen]:
        """What was asked of objects, other than to follow changes and to renew the Lease.

        Which kinds there are, and which keys the cluster signs with, is asked by the clock.
        """
        asked = [seen for seen in self.seen[since:] if seen.plural not in {"", "leases"}]
        return [seen for seen in asked if not seen.is_watch]

    def counted(self, since: int = 0) -> Counter[str]:
        """How often each kind of write was seen."""
        return Counter(seen.what for seen in self.writes(since))

    def cut_watches(self, plural: str | None = None, *, hold: bool = False) -> None:
        """End watches now, and with `hold` let no new one and no list through until `release`."""

        def cut() -> None:
            self._held_plural = plural
            if hold:
                self._open.clear()
            for task, watched in list(self._streams.items()):
                if plural in {None, watched}:
                    task.cancel()

        self._soon(cut)

    def release(self) -> None:
        """Let watches through again."""
        self._soon(self._open.set)

    def freeze(self) -> None:
        """Cut the network: nothing comes through in either direction, and nobody is told so."""
        self._soon(self._flow.clear)

    def thaw(self) -> None:
        """Heal it; whoever has given up meanwhile is not heard any more."""
        self._soon(self._flow.set)

    def _soon(self, act: Callable[[], object]) -> None:
        """Do something among what is handled; timers may come when nothing is any more."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self._flow = asyncio.Event()
        self._flow.set()
        await self._start()
        self._started.set()
        await self._stopped.wait()
        for task in list(self._streams):
            task.cancel()
        await self._runner.cleanup()
        await self._session.close()
        # What was cut off is closed a moment later.
        await asyncio.sleep(0.1)

    async def _start(self) -> None:
        self._target, tls = _target(self.kubeconfig, self.folder)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            read_bufsize=2**22,
        )
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.path.write_text(_kubeconfig(self._runner.addresses[0][1]))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        seen = _parse(request)
        body = await request.read()
        is_held = self._held_plural in {None, seen.plural} and not seen.name
        if seen.method == "GET" and is_held:
            await self._open.wait()
        await self._flow.wait()
        if request.transport is None or request.transport.is_closing():
            return web.Response()
        number = 0
        if seen.is_write:
            self.written += 1
            number = self.written
            if self.before_write(number):
                return _hung_up(request)
        rule = next((rule for rule in self.rules if self._applies(rule, seen)), None)
        if rule is not None and rule.late is not None:
            await asyncio.to_thread(rule.late.wait, LATE_SECONDS)
            rule = None
        if rule is not None and not rule.is_after:
            self._note(seen, rule.status)
            return await self._injected(request, rule)
        try:
            return await self._forward(request, seen, body, number, rule)
        except aiohttp.ClientError:
            return web.Response(status=502)

    def _applies(self, rule: Rule, seen: Seen) -> bool:
        if rule.times == 0 or not rule.matches(seen):
            return False
        rule.met += 1
        if rule.met % rule.every:
            return False
        if rule.times is not None:
            rule.times -= 1
        rule.hit += 1
        return True

    async def _injected(self, request: web.Request, rule: Rule) -> web.Response:
        await asyncio.sleep(rule.hold_seconds)
        if not rule.status:
            return _hung_up(request)
        said = {"message": rule.message, "reason": rule.reason}
        status = {"kind": "Status", "code": rule.status, **said}
        return web.json_response(status, status=rule.status, headers=rule.headers)

    def _note(self, seen: Seen, status: int, body: bytes = b"") -> None:
        self.seen.append(replace(seen, status=status, body=body))

    async def _forward(
        self, request: web.Request, seen: Seen, body: bytes, number: int, rule: Rule | None
    ) -> web.StreamResponse:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in {"accept", "content-type", "user-agent"}
        }
        # Large answers would be packed otherwise, which nobody asked for.
        headers["Accept-Encoding"] = "identity"
        if self.acts_as:
            headers["Impersonate-User"] = self.acts_as
        what = (request.path_qs, request.headers.get("Accept", ""))
        stale = self._first_lists.get(what) if self.is_stale else None
        if stale is not None and seen.verb == "list":
            self._note(seen, stale.status)
            return web.Response(body=stale.body, content_type="application/json")
        async with self._session.request(
            request.method, self._target + request.path_qs, headers=headers, data=body or None
        ) as answer:
            if seen.is_watch:
                self._note(seen, answer.status)
                return await self._stream(request, seen, answer)
            content = await answer.read()
        self._note(seen, answer.status, body)
        if number and self.after_write(number):
            return _hung_up(request)
        if rule is not None:
            return await self._injected(request, rule)
        kept = {
            name: value
            for name, value in answer.headers.items()
            if name in {"Content-Type", "Retry-After"}
        }
        response = web.Response(body=content, status=answer.status, headers=kept)
        if seen.verb == "list":
            self._first_lists.setdefault(what, response)
        return response

    async def _stream(
        self, request: web.Request, seen: Seen, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status)
        response.content_type = "application/json"
        await response.prepare(request)
        task = asyncio.ensure_future(self._pipe(seen, answer, response))
        self._streams[task] = seen.plural
        try:
            with suppress(asyncio.CancelledError, aiohttp.ClientError, ConnectionError):
                await task
        finally:
            del self._streams[task]
            task.cancel()
        with suppress(ConnectionError):
            await response.write_eof()
        return response

    async def _pipe(
        self, seen: Seen, answer: aiohttp.ClientResponse, response: web.StreamResponse
    ) -> None:
        async for line in answer.content:
            await self._flow.wait()
            told = line if self.tamper is None else self.tamper(seen, line)
            if told is None:
                return
            await response.write(told)


def _hung_up(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _parse(request: web.Request) -> Seen:
    steps = [step for step in request.path.split("/") if step]
    group = steps[1] if steps[:1] == ["apis"] and len(steps) > 2 else ""
    steps = steps[2:] if steps[:1] == ["api"] else steps[3:]
    namespace = ""
    if steps[:1] == ["namespaces"] and len(steps) > 2:
        namespace, steps = steps[1], steps[2:]
    plural, name, part, *_ = [*steps, "", "", ""]
    is_watch = request.query.get("watch") == "true"
    chosen = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
    return Seen(request.method, plural, part, namespace, name, is_watch, group=group, chosen=chosen)


def _target(kubeconfig: Path, folder: Path) -> tuple[str, ssl.SSLContext]:
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    tls = ssl.create_default_context(cadata=authority)
    # Python loads a client certificate from a file only.
    both = folder / "client.pem"
    both.write_bytes(
        base64.b64decode(user["client-certificate-data"])
        + base64.b64decode(user["client-key-data"])
    )
    tls.load_cert_chain(both)
    return cluster["server"], tls


def _kubeconfig(port: int) -> str:
    name = "proxy"
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": name, "user": {}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )


def total(counts: Iterable[Counter[str]]) -> Counter[str]:
    """Add counts up."""
    return sum(counts, Counter())
