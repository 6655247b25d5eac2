"""Changes of several backends, heard as those of one."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from breakwater_contract.mcp import METHOD_NOT_FOUND, SERVER_INFO_META_KEY
from breakwater_runtime.backends import encoding
from breakwater_runtime.backends.backend import Backend, Deliver, Subscription
from breakwater_runtime.backends.nowhere import Nowhere
from breakwater_runtime.calls import Call, Channel, Refused, RpcError

logger = logging.getLogger(__name__)

ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"
CHANGED = {
    "toolsListChanged": "notifications/tools/list_changed",
    "promptsListChanged": "notifications/prompts/list_changed",
    "resourcesListChanged": "notifications/resources/list_changed",
}
"""What a listener can ask for, and the notification that it hears then."""
RESOURCES = "resourceSubscriptions"

RETRY_SECONDS = 1.0
RETRY_SECONDS_MAX = 30.0


class _Ear(Nowhere):
    """The way back of a `subscriptions/listen` that a backend answers as a call."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver

    async def notify(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Hand a notification on."""
        self._deliver(method, params)


class Ears:
    """One listener's subscriptions to each backend."""

    def __init__(self, call: Call, deliver: Deliver, wanted: Mapping[str, Any]) -> None:
        """Listen for the sender of a `subscriptions/listen`."""
        self._call = call
        self._deliver = deliver
        self._flags = {name: True for name in CHANGED if wanted.get(name) is True}
        uris = wanted.get(RESOURCES)
        self.uris = [str(uri) for uri in uris] if isinstance(uris, list) else []
        self._early: list[tuple[str, Mapping[str, Any] | None]] | None = []
        self._subscriptions: list[Subscription] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def _meta(self) -> dict[str, Any]:
        return {SUBSCRIPTION_ID: self._call.id}

    def hear(self, backend: Backend, uris: list[str]) -> None:
        """Listen to a backend, and to what of its resources is wanted.

        Raises:
            Refused: The policies do not allow it.
        """
        wanted: dict[str, Any] = dict(self._flags)
        if uris:
            wanted[RESOURCES] = uris
        if not wanted:
            return
        params = {**(self._call.params or {}), "notifications": wanted}
        call = self._call.again()
        call.params, call.examine, call.span = params, None, None
        subscription = backend.listen(call, self._heard)
        if subscription is not None:
            self._subscriptions.append(subscription)
            return
        call.channel = _Ear(self._heard)
        self._tasks.append(asyncio.get_running_loop().create_task(_keep(backend, call)))

    def _heard(self, method: str, params: Mapping[str, Any] | None) -> None:
        if method == ACKNOWLEDGED:
            return
        if self._early is not None:
            self._early.append((method, params))
        else:
            self._deliver(method, params)

    def begin(self) -> None:
        """Acknowledge, and tell what was heard before."""
        honored: dict[str, Any] = dict(self._flags)
        if self.uris:
            honored[RESOURCES] = self.uris
        self._deliver(ACKNOWLEDGED, {"notifications": honored, "_meta": self._meta})
        early, self._early = self._early or [], None
        for method, params in early:
            self._deliver(method, params)

    def lists_changed(self) -> None:
        """Tell of changes that no backend tells: one came, or went."""
        if self._early is None:
            for name in self._flags:
                self._deliver(CHANGED[name], {"_meta": self._meta})

    def result(self, server_info: Mapping[str, Any]) -> bytes:
        """Make what the request is answered with in the end."""
        meta = {**self._meta, SERVER_INFO_META_KEY: server_info}
        return encoding.dumps({"resultType": "complete", "_meta": meta})

    def close(self) -> None:
        """Listen no longer."""
        for subscription in self._subscriptions:
            subscription.close()
        for task in self._tasks:
            task.cancel()


async def _keep(backend: Backend, call: Call) -> None:
    """Listen to a backend that answers as to a call, and again when it ends."""
    wait = RETRY_SECONDS
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            await backend.answer(call)
        except RpcError as error:
            if error.code == METHOD_NOT_FOUND:
                return
        except Refused:
            return
        except Exception:
            logger.exception("listening to a backend failed", extra={"backend": backend.name})
            return
        wait = RETRY_SECONDS if loop.time() - began > RETRY_SECONDS_MAX else wait * 2
        await asyncio.sleep(min(wait, RETRY_SECONDS_MAX))


LOOK_SECONDS = 1.0
"""How often it is looked whether backends came or went, where somebody wants to know."""


class Changes:
    """Tells those who listen that backends came or went, or show other tools."""

    def __init__(self, state: Callable[[], object]) -> None:
        """Look at `state`: another value means other lists."""
        self._state = state
        self._tellers: set[Callable[[], None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    def add(self, tell: Callable[[], None]) -> None:
        """Call `tell` at each change."""
        self._tellers.add(tell)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch())

    def discard(self, tell: Callable[[], None]) -> None:
        """Call it no longer."""
        self._tellers.discard(tell)

    def tell(self) -> None:
        """Tell all of them."""
        for tell in tuple(self._tellers):
            tell()

    def spawn(self, telling: Coroutine[Any, Any, None]) -> None:
        """Tell what takes its time."""
        task = asyncio.get_running_loop().create_task(telling)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _watch(self) -> None:
        known = self._state()
        while self._tellers:
            await asyncio.sleep(LOOK_SECONDS)
            state = self._state()
            if state != known:
                known = state
                self.tell()


async def tell_all(channel: Channel) -> None:
    """Tell a session that every list may have changed."""
    for method in CHANGED.values():
        await channel.notify(method, None)
