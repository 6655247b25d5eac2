"""Sessions of older clients: each backend gets its own once the client has to do with it."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.backends.codec.greeting import INITIALIZE, INITIALIZED
from breakwater_runtime.calls import Call, Channel, Peer, RpcError

SET_LEVEL = "logging/setLevel"


class GatewayPeer:
    """One session, and what each backend keeps of it."""

    def __init__(
        self,
        backends: Sequence[Backend],
        session_id: str,
        channel: Channel,
        ended: Callable[[], object] = bool,
    ) -> None:
        """Begin a session that no backend knows yet; `ended` is called at its end."""
        self._ended = ended
        self._backends = backends
        self._session_id = session_id
        self._channel = channel
        self.initialize: dict[str, Any] | None = None
        self.level: dict[str, Any] | None = None
        """The parameters by which the client said how much log it wants."""
        self._peers: dict[int, Peer] = {}
        self._greetings: dict[int, asyncio.Future[None]] = {}
        self._closed = False

    @property
    def greeted(self) -> Sequence[int]:
        """The backends that know the session."""
        return tuple(self._peers)

    def known(self, backend: int) -> Peer | None:
        """Get a backend's side; None: it does not know the session."""
        return self._peers.get(backend)

    async def at(self, backend: int, call: Call) -> Peer | None:
        """Get a backend's side; where it does not know the session yet, introduce the client.

        Returns:
            None: the session ended meanwhile.

        Raises:
            RpcError: The backend does not want it.
        """
        peer = self._peers.get(backend)
        if peer is not None:
            return peer
        greeting = self._greetings.get(backend)
        if greeting is None:
            greeting = asyncio.ensure_future(self._greet(backend, call))
            self._greetings[backend] = greeting
            greeting.add_done_callback(lambda done: self._greeted(backend, done))
        # Others may wait for the same: who leaves does not stop it.
        await asyncio.shield(greeting)
        return self._peers.get(backend)

    def _greeted(self, backend: int, done: asyncio.Future[None]) -> None:
        self._greetings.pop(backend, None)
        if not done.cancelled():
            done.exception()

    async def _greet(self, backend: int, call: Call) -> None:
        server = self._backends[backend]
        peer = server.connect(self._session_id, self._channel)
        first = _own(call, peer, INITIALIZE, self.initialize)
        try:
            await server.answer(first)
            done = _own(call, peer, INITIALIZED, None)
            done.id = ""
            await server.note(done)
            if self.level is not None:
                with contextlib.suppress(RpcError):  # it writes no log
                    await server.answer(_own(call, peer, SET_LEVEL, self.level))
        except BaseException:
            await peer.close()
            raise
        if self._closed:
            await peer.close()
            return
        self._peers[backend] = peer

    async def close(self) -> None:
        """Let every backend go of it."""
        self._closed = True
        self._ended()
        peers, self._peers = self._peers, {}
        for peer in peers.values():
            await peer.close()


def _own(call: Call, peer: Peer, method: str, params: dict[str, Any] | None) -> Call:
    """Make a request of ours within a session, on the way of a call."""
    own = call.again()
    own.method, own.params, own.id, own.peer, own.examine = method, params, 0, peer, None
    return own
