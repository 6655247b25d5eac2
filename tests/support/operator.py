"""The operator as a process of its own, for tests on a real API server."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from breakwater_contract.names import HASH_KEY_FILE, INTERNAL_FILES
from breakwater_contract.settings import live_files, live_hash
from breakwater_operator.api import names
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.connection import connection
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import CONFIG_MAP, SECRET
from breakwater_operator.main import run
from breakwater_operator.reconcile import engine
from breakwater_operator.status.facts import Probe, ServerInfo
from tests.support.forks import nursery
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from breakwater_operator.probe.prober import Target

Loaded = tuple[str, tuple[str, ...]]
"""What a pod has loaded: the live hash, and the ids of the operator's keys."""

RUNTIME_IMAGE = "breakwater.local/runtime:test"

ANSWER_SECONDS = 20.0
"""How long an operator may take to answer where the machine has no time for it."""

STOP_SECONDS = 20.0
"""Within which an operator has ended that was asked to stop: kubelet kills it after 30."""

WISHES = os.environ  # noqa: TID251 - the process that a test starts is told by it what to pretend
"""What a test wants of the operator and of the pods that it starts."""


class FakeProber:
    """Answers for pods that only pretend to run: always well, always on the newest settings.

    What kubelet would have put into the pod's volumes is read from the API server itself, past any
    proxy, so that it is nobody's request but the test's.
    """

    def __init__(self, kubeconfig: Path) -> None:
        """Open no connection yet."""
        self._kubeconfig = kubeconfig
        self._api: KubeApi | None = None
        # How long a pod takes to load what has changed; kubelet takes a minute.
        self._lag_seconds = float(WISHES.get("BREAKWATER_TEST_LAG_SECONDS", "0"))
        # How long a pod takes to answer.
        self._answer_seconds = float(WISHES.get("BREAKWATER_TEST_ANSWER_SECONDS", "0"))
        # Why it refuses its settings; None: it does not.
        self._fault = WISHES.get("BREAKWATER_TEST_SETTINGS_FAULT")
        self._loaded: dict[str, tuple[Loaded, Loaded, float]] = {}

    async def health(self, target: Target) -> Probe:
        """Say that a pod is well."""
        await asyncio.sleep(self._answer_seconds)
        if self._api is None:
            self._api = KubeApi(await connection(self._kubeconfig), lambda *_: None)
        namespace, server = target.server
        try:
            mounted = await self._api.get(SECRET, namespace, names.live(server))
            settings = await self._api.get(CONFIG_MAP, namespace, names.live(server))
            shared = await self._api.get(SECRET, namespace, names.internal(server))
        except ApiError as error:
            return Probe(reached=False, fault=str(error))
        content, internal = decoded(mounted), decoded(shared)
        keys = {name: value for name, value in content.items() if not name.startswith(".")}
        files = live_files(keys, {name: internal[name] for name in INTERNAL_FILES})
        live = settings["data"]["v1.json"].encode()
        newest = live_hash(content[HASH_KEY_FILE], live, files)
        loaded, known = self._late(target.uid, (newest, _operator_keys(live)))
        return Probe(reached=True, live=loaded, operator_keys=known, settings_fault=self._fault)

    def _late(self, uid: str, newest: Loaded) -> Loaded:
        """Say what a pod has loaded, of what has been there for a while."""
        now = time.monotonic()
        loaded, coming, since = self._loaded.get(uid, (newest, newest, now))
        if coming != newest:
            coming, since = newest, now
        if now >= since + self._lag_seconds:
            loaded = coming
        self._loaded[uid] = loaded, coming, since
        return loaded

    async def handshake(self, target: Target) -> ServerInfo:
        """Say what a server would."""
        del target
        return ServerInfo("fake", "1", ("2026-07-28",), 2)

    async def close(self) -> None:
        """Close the connections."""
        if self._api is not None:
            await self._api.close()


def _operator_keys(live: bytes) -> tuple[str, ...]:
    return tuple(key["kid"] for key in json.loads(live).get("operatorKeys", ()))


def decoded(secret: dict[str, Any]) -> dict[str, bytes]:
    """Read what a Secret holds."""
    return {name: base64.b64decode(value) for name, value in secret["data"].items()}


@dataclass
class OperatorProcess:
    """One operator; use it as a context manager, which stops it at the end."""

    kubeconfig: Path
    """How it reaches the cluster, maybe through a proxy."""
    direct: Path
    """How the fake pods do."""
    folder: Path
    namespaces: tuple[str, ...]
    """Where it looks: tests share a cluster."""
    image: str = RUNTIME_IMAGE
    environment: dict[str, str] = field(default_factory=dict)
    platform: dict[str, Any] = field(default_factory=dict)
    """What else its configuration says."""
    watches_all: bool = False
    """Whether it looks everywhere; its own namespace is the first of `namespaces` anyway."""
    identity: str = "one"
    """Its name in the Lease; a process that follows another one under the same name need not wait
    until the Lease of that one runs out, like a container that is started again in its pod."""

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self.folder / "operator.log").read_text()

    def start(self) -> None:
        """Start it."""
        self.port = free_port()
        config = self.folder / "operator.yaml"
        config.write_text(json.dumps(self.configuration))
        options = ["--config", str(config), "--kubeconfig", str(self.kubeconfig)]
        options += ["--http-port", str(self.port), "--identity", self.identity]
        self.process = nursery().start(
            [str(self.direct), *options], self.environment, self.folder / "operator.log"
        )

    def revive(self) -> None:
        """Start it again, as kubelet does, where it has ended because of what it was answered."""
        if self.process.poll() is None:
            return
        said = self.log[-4000:].strip().rpartition("\n")[2]
        assert said.startswith("not the answer of a Kubernetes API server"), said
        self.start()

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until its caches are full."""
        end = time.monotonic() + seconds
        while self.ask("/readyz")[0] != 200:
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the operator did not get ready:\n{self.log[-4000:]}", pytrace=False)
            time.sleep(0.05)

    def ask(self, path: str) -> tuple[int, str]:
        """Ask one of its own endpoints; 0 when nobody listens."""
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def stop(self) -> int:
        """Ask it to stop, as kubelet does; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Kill it without a warning."""
        self.process.kill()
        self.process.wait(10)

    @property
    def configuration(self) -> dict[str, Any]:
        """What its configuration says."""
        return {
            "namespace": self.namespaces[0],
            "watchNamespaces": [] if self.watches_all else list(self.namespaces),
            "images": {"runtime": self.image},
            **self.platform,
        }


def main(argv: Sequence[str]) -> int:
    """Run an operator; the first argument is the kubeconfig that leads to the fake pods."""
    # Nobody waits five minutes in a test.
    stuck_seconds = WISHES.get("BREAKWATER_TEST_STUCK_SECONDS")
    if stuck_seconds is not None:
        engine.STUCK_SECONDS = float(stuck_seconds)
    return run(argv[1:], prober=FakeProber(Path(argv[0])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
