"""Pods that only pretend to run: what each has loaded, as the operator's prober hears it.

They live in the process that measures, follow what kubelet would put into their volumes, and tell
the operator's process over a socket. So the operator pays for its passes and its requests, and not
for a kubelet and a runtime.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from breakwater_contract.names import HASH_KEY_FILE
from breakwater_contract.settings import live_files, live_hash
from breakwater_operator.api import names
from breakwater_operator.api.names import MANAGER
from breakwater_operator.kube.cache import Cache
from breakwater_operator.kube.informer import Informer
from breakwater_operator.kube.kinds import CONFIG_MAP, SECRET
from breakwater_operator.render.ring import STATE_FILE
from breakwater_operator.render.volumes import LIVE_KEY
from breakwater_operator.status.facts import Probe, ServerInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from breakwater_operator.kube.api import KubeApi
    from breakwater_operator.probe.prober import Target

Key = tuple[str, str]
Object = dict[str, Any]

SELECTOR = f"app.kubernetes.io/managed-by={MANAGER}"


NO_MORE = b"null\n"
"""Ends what is known already; what comes after it is news."""


class Volumes:
    """What the volumes of each server's pods say, as the hash that its pods report."""

    def __init__(self, api: KubeApi) -> None:
        """Follow nothing yet; `serving` does.

        Args:
            api: The API server.
        """
        self._secrets = Cache(self._changed, _data)
        self._settings = Cache(self._changed, _data)
        self._informers = [
            Informer(api, SECRET, self._secrets, selector=SELECTOR),
            Informer(api, CONFIG_MAP, self._settings, selector=SELECTOR),
        ]
        self._hashes: dict[Key, str] = {}
        self._listeners: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def serving(self, path: Path) -> AsyncIterator[None]:
        """Tell whoever connects to a socket all hashes, and then each new one."""
        server = await asyncio.start_unix_server(self._connected, path)
        tasks = [asyncio.create_task(informer.run()) for informer in self._informers]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for key, loaded in self._hashes.items():
            writer.write(_line(key, loaded))
        writer.write(NO_MORE)
        self._listeners.add(writer)
        with contextlib.suppress(OSError):
            await reader.read()
        self._listeners.discard(writer)
        writer.close()

    def _changed(self, old: Object | None, new: Object | None) -> None:
        metadata = (new or old or {})["metadata"]
        namespace, server = metadata["namespace"], metadata["labels"]["breakwater.dev/server"]
        loaded = self._loaded(namespace, server)
        if loaded is None or self._hashes.get((namespace, server)) == loaded:
            return
        self._hashes[namespace, server] = loaded
        for writer in self._listeners:
            writer.write(_line((namespace, server), loaded))

    def _loaded(self, namespace: str, server: str) -> str | None:
        mounted = self._secrets.get(namespace, names.live(server))
        shared = self._secrets.get(namespace, names.internal(server))
        settings = self._settings.get(namespace, names.live(server))
        if mounted is None or shared is None or settings is None:
            return None
        keys, internal = _decoded(mounted), _decoded(shared)
        hash_key = keys[HASH_KEY_FILE]
        internal.pop(STATE_FILE, None)
        files = {name: content for name, content in keys.items() if not name.startswith(".")}
        live = settings["data"][LIVE_KEY].encode()
        return live_hash(hash_key, live, live_files(files, internal))


class PretendingProber:
    """Says of every pod that it is well and has loaded what its volumes say."""

    def __init__(self, path: Path) -> None:
        """Connect to nobody yet.

        Args:
            path: The socket of `Volumes`.
        """
        self._path = path
        self._hashes: dict[Key, str] = {}
        self._is_told = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def health(self, target: Target) -> Probe:
        """Say that a pod is well; until its volumes are known it does not answer."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        # A pod that runs has mounted something: it is only we who may not have heard of it yet.
        await self._is_told.wait()
        loaded = self._hashes.get(target.server)
        if loaded is None:
            return Probe(reached=False, fault="nothing is mounted yet")
        return Probe(reached=True, live=loaded)

    async def handshake(self, target: Target) -> ServerInfo:
        """Say what a server would."""
        del target
        return ServerInfo("fake", "1", ("2026-07-28",), 2)

    async def close(self) -> None:
        """Listen no longer."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        reader, _ = await asyncio.open_unix_connection(self._path)
        async for line in reader:
            if line == NO_MORE:
                self._is_told.set()
                continue
            namespace, server, loaded = json.loads(line)
            self._hashes[namespace, server] = loaded


def _line(key: Key, loaded: str) -> bytes:
    return json.dumps([*key, loaded]).encode() + b"\n"


def _data(live: Object) -> Object:
    return {"metadata": live["metadata"], "data": live.get("data") or {}}


def _decoded(secret: Object) -> dict[str, bytes]:
    return {name: base64.b64decode(value) for name, value in secret["data"].items()}
