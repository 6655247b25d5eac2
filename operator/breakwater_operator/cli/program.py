"""What `breakwater dev` runs: the operator's rendering, set up for one process on loopback."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from breakwater_contract.names import HASH_KEY_FILE, KEYS_DIRECTORY, MCP_PATH
from breakwater_contract.settings import live_hash
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.names import GENERATED_KEY
from breakwater_operator.api.platform import Platform
from breakwater_operator.cli import manifests, notes
from breakwater_operator.cli.machine import Machine
from breakwater_operator.cli.manifests import Manifests
from breakwater_operator.cli.pod import LOOPBACK, Pod, pod
from breakwater_operator.cli.rendering import Rendering

ADMIN_FOLDER = "/etc/breakwater-admin"
ADMIN_FILE = f"{ADMIN_FOLDER}/key"
TLS_FOLDER = "/etc/breakwater-tls"
"""Folders that a pod does not have."""


@dataclass(frozen=True)
class Place:
    """Where the process listens, and with what."""

    port: int
    management_port: int
    certificate: dict[str, bytes] | None = None
    """Files with a certificate and its key; None: plain HTTP."""
    profiling: bool = False
    """Whether the process may be profiled."""


@dataclass(frozen=True)
class Secrets:
    """What one run of the command made up for itself."""

    seed: bytes
    fresh: bytes
    admin_key: str


@dataclass(frozen=True)
class Program:
    """One state of the manifests, ready to run."""

    name: str
    pod: Pod
    notes: tuple[str, ...]
    generated_key: str | None
    """The key, where nobody brought one."""
    live_file: str

    @property
    def modules(self) -> tuple[str, ...]:
        """The packages that Python backends are loaded from."""
        backends = self.pod.settings["backends"]
        servers = [it["python"]["server"] for it in backends if "python" in it]
        return tuple(
            dict.fromkeys(server.partition(":")[0].partition(".")[0] for server in servers)
        )

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The commands of containers that run here without their images."""
        return tuple(it.words for it in self.pod.sidecars if it.image is None)

    def replaces(self, other: "Program") -> bool:
        """Say whether a running process cannot go from another state to this one."""
        return self._fixed() != other._fixed()

    def _fixed(self) -> object:
        live = self.live_file.rpartition("/")
        files = {
            folder: {
                name: text for name, text in content.items() if (folder, name) != (live[0], live[2])
            }
            for folder, content in self.pod.files.items()
            if folder != KEYS_DIRECTORY
        }
        pod = self.pod
        return files, pod.folders, pod.scratch, pod.variables, pod.sidecars

    def live_hash(self, localised: Pod) -> str:
        """Name the live settings as the process will."""
        keys = dict(localised.files[KEYS_DIRECTORY])
        folder, _, name = self.live_file.rpartition("/")
        return live_hash(keys.pop(HASH_KEY_FILE), localised.files[folder][name], keys)


def program(
    paths: Sequence[Path],
    server_name: str | None,
    place: Place,
    secret: Secrets,
    platform: Platform,
    machine: Machine,
) -> Program:
    """Read manifests and make of them what can run here.

    Raises:
        BreakwaterError: With every fault.
    """
    found = manifests.read(paths)
    server = manifests.parse(found.server(server_name))
    rendering = Rendering(found, platform, secret.seed, secret.fresh)
    mine = _Local(found, rendering, place, secret.admin_key, machine)
    ready, keys = mine.pod(server), rendering.intent(server).keys
    return Program(
        name=server.name,
        pod=ready,
        notes=(
            *notes.without_effect(server, mine.pod),
            *(f"{it} is not looked at here" for it in found.unused()),
        ),
        generated_key=keys.principals[GENERATED_KEY].decode() if keys.generated else None,
        live_file=_live_file(ready),
    )


@dataclass(frozen=True)
class _Local:
    """Makes the pod of a server, changed as little as it takes to run here."""

    manifests: Manifests
    rendering: Rendering
    place: Place
    admin_key: str
    machine: Machine

    def pod(self, server: McpServer) -> Pod:
        # Whatever the manifest says, one runs.
        changed: dict[str, Any] = {"replicas": 1, "suspend": False}
        if self.rendering.platform.monitoring.otlp is None:
            # There is nobody to send traces to; what is not made reaches no process.
            quiet = server.spec.monitoring.model_copy(update={"tracing": None})
            changed["monitoring"] = quiet
        alone = server.spec.model_copy(update=changed)
        server = server.model_copy(update={"spec": alone})
        made = pod(server, self.rendering.children(server), self.manifests, self.machine)
        more = {ADMIN_FOLDER: {"key": self.admin_key.encode()}}
        if self.place.certificate is not None:
            more[TLS_FOLDER] = self.place.certificate
        made = replace(made, files={**made.files, **more})
        return self._with_live(self._with_settings(made))

    def _with_settings(self, made: Pod) -> Pod:
        settings: dict[str, Any] = made.settings
        # It changes with much that makes no difference here.
        settings.pop("revision", None)
        settings.pop("internal", None)
        # Without it the runtime knows that this is no pod: other sockets are none of its business.
        settings["server"].pop("uid", None)
        settings["listen"] = {
            **settings.get("listen", {}),
            "host": LOOPBACK,
            "publicPort": self.place.port,
            "managementPort": self.place.management_port,
        }
        if self.place.certificate is not None:
            settings["tls"] = {
                "certificateFile": f"{TLS_FOLDER}/tls.crt",
                "keyFile": f"{TLS_FOLDER}/tls.key",
            }
        for backend in settings["backends"]:
            for transport in backend.get("container", {}).values():
                if isinstance(transport, dict) and "socket" in transport:
                    # The helper is ours here, and so are its children.
                    transport["user"] = self.machine.user
        return made.with_json(made.config, settings)

    def _with_live(self, made: Pod) -> Pod:
        file = _live_file(made)
        folder, _, name = file.rpartition("/")
        live = json.loads(made.files[folder][name]) | {"adminKeyFile": ADMIN_FILE}
        if hosts := live.get("access", {}).get("hosts"):
            # Clients of this machine write its own names.
            live["access"]["hosts"] = [*hosts, LOOPBACK, "localhost"]
        return made.with_json(file, live)


def _live_file(made: Pod) -> str:
    return f"{made.config.rpartition('/')[0]}/{made.settings['liveFile']}"


def url(place: Place) -> str:
    """Say where clients find the server."""
    if place.certificate is not None:
        return f"https://localhost:{place.port}{MCP_PATH}"
    return f"http://{LOOPBACK}:{place.port}{MCP_PATH}"
