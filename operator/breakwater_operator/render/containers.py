"""The containers of backends: sidecars that start before the runtime and end after it."""

from collections.abc import Iterator
from typing import Any

from breakwater_contract.backends import ContainerBackend, Http, Instances, Stdio
from breakwater_contract.names import RUN_AS
from breakwater_operator.api import backends as api
from breakwater_operator.api.containers import ContainerBackend as Container
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.api.quantity import amount
from breakwater_operator.render.mounts import mount
from breakwater_operator.render.resources import Defaults, chosen
from breakwater_operator.render.variables import variable

HELPER = "breakwater-child"
HELPER_IN_IMAGE = f"/usr/local/bin/{HELPER}"
HELPER_CONTAINER = "helper"
HELPER_VOLUME = "breakwater-helper"
HELPER_PATH = "/run/breakwater/bin"
SOCKET_PATH = "/run/breakwater/socket"
"""Where a backend's container has the socket that it shares with the runtime."""
RUNTIME_SOCKETS = "/run/breakwater"
"""Where the runtime has those of all backends, each in a folder of its own."""
SOCKET = "child"

TMP_PATH = "/tmp"  # noqa: S108 (the container's own)
HOME_PATH = "/home/breakwater"

USER = RUN_AS + 1
"""Whom a backend runs as: somebody else than the runtime."""

HELPER_SIZE = "8Mi"
SOCKET_SIZE = "1Mi"
SCRATCH_SIZE = "1Gi"

DEFAULTS = Defaults({"cpu": "50m", "memory": "64Mi"}, {"memory": "512Mi"})

RESTRICTED: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}

TERMINATION = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "FallbackToLogsOnError",
}
"""What a crashing process said last is then in the pod's status, and so in the server's."""


def settings(backend: api.Backend, server: McpServer) -> ContainerBackend:
    """Make what the runtime is told of a backend."""
    container = _container(backend)
    return ContainerBackend(
        stdio=_stdio(backend) if container.stdio is not None else None,
        http=_http(backend, server) if container.port is not None else None,
        isolation=container.isolation,
        instances=Instances(
            max=container.instances.max,
            idle=container.instances.idle,
            spares=container.instances.spares,
        ),
        start=container.start,
    )


def _stdio(backend: api.Backend) -> Stdio:
    return Stdio(socket=_socket(backend), user=_user(_container(backend)))


def _http(backend: api.Backend, server: McpServer) -> Http | None:
    container = _container(backend)
    if container.port is None:
        return None
    has_helper = bool(_words(container))
    return Http(
        port=container.port,
        path=container.path or "/mcp",
        socket=_socket(backend) if has_helper else None,
        user=_user(container) if has_helper else None,
        known_listeners=server.spec.pod.known_listeners,
        allow_access_that_bypasses_the_runtime=container.allow_access_that_bypasses_the_runtime,
    )


def _socket(backend: api.Backend) -> str:
    return f"{RUNTIME_SOCKETS}/{backend.name}/{SOCKET}"


def _words(container: Container) -> tuple[str, ...]:
    """Get the command that the helper starts; empty: the image's own, which is not known here."""
    if container.stdio is not None:
        return container.stdio
    return (*container.command, *container.args) if container.command else ()


def init_containers(
    server: McpServer, platform: Platform, image: str, resources: dict[str, Any]
) -> list[dict[str, Any]]:
    """Make the containers that start before the runtime.

    Args:
        server: The server.
        platform: Where images come from.
        image: The runtime's image, which brings the helper.
        resources: Those of the runtime's container. The helper gets them too, which costs nothing,
            for it ends before; so a manifest that fits a quota or a LimitRange fits it as a whole.
    """
    policy = platform.images.pull_policy
    peer = server.spec.pod.security_context.run_as_user or RUN_AS
    sidecars = [_sidecar(backend, policy, peer) for backend in _with_containers(server)]
    return [*_helper(server, image, policy, resources), *sidecars]


def _helper(
    server: McpServer, image: str, policy: str, resources: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Copy the helper to where the containers of commands can start it."""
    if not any(_words(_container(backend)) for backend in _with_containers(server)):
        return
    yield {
        "name": HELPER_CONTAINER,
        "image": image,
        "imagePullPolicy": policy,
        "command": [HELPER_IN_IMAGE, "--install", f"{HELPER_PATH}/{HELPER}"],
        "resources": resources,
        "securityContext": RESTRICTED,
        **TERMINATION,
        "volumeMounts": [{"name": HELPER_VOLUME, "mountPath": HELPER_PATH}],
    }


def _sidecar(backend: api.Backend, policy: str, peer: int) -> dict[str, Any]:
    container = _container(backend)
    return {
        "name": _named(backend),
        "image": container.image,
        "imagePullPolicy": policy,
        "restartPolicy": "Always",
        **_command(container, peer),
        "env": _env(container),
        "resources": chosen(DEFAULTS, container.resources),
        "securityContext": {**RESTRICTED, "runAsUser": _user(container)},
        **TERMINATION,
        "volumeMounts": [*_mounts(backend), *map(mount, container.volume_mounts)],
    }


def _command(container: Container, peer: int) -> dict[str, list[str]]:
    words = _words(container)
    if not words:
        return {"args": list(container.args)} if container.args else {}
    memory = container.instances.memory if container.stdio is not None else None
    cap = ["--memory", str(int(amount(memory)))] if memory is not None else []
    return {
        "command": [f"{HELPER_PATH}/{HELPER}"],
        "args": [
            *("--socket", f"{SOCKET_PATH}/{SOCKET}", "--peer", str(peer), "--work", TMP_PATH),
            *(*cap, "--", *words),
        ],
    }


def _env(container: Container) -> list[dict[str, Any]]:
    """Give it a home that exists; each child of a command gets one of its own besides."""
    given = [variable(each) for each in container.env]
    if any(each["name"] == "HOME" for each in given):
        return given
    return [{"name": "HOME", "value": HOME_PATH}, *given]


def _mounts(backend: api.Backend) -> Iterator[dict[str, Any]]:
    container, name = _container(backend), _named(backend)
    if _words(container):
        yield {"name": HELPER_VOLUME, "mountPath": HELPER_PATH, "readOnly": True}
        yield {"name": f"{name}-socket", "mountPath": SOCKET_PATH}
    for path in _writable(container):
        yield {"name": f"{name}-scratch", "mountPath": path, "subPath": _folder(path)}


def _writable(container: Container) -> list[str]:
    """List the folders that are empty at the start: not those at which a volume is mounted."""
    mounted = {each.mount_path for each in container.volume_mounts}
    wanted = dict.fromkeys((TMP_PATH, HOME_PATH, *container.writable))
    return [path for path in wanted if path not in mounted]


def _folder(path: str) -> str:
    """Name the folder of a volume that appears at a path."""
    return path.strip("/").replace("/", "-")


def volumes(server: McpServer) -> Iterator[dict[str, Any]]:
    """Make the volumes that the containers of backends need."""
    backends = list(_with_containers(server))
    if any(_words(_container(backend)) for backend in backends):
        yield {"name": HELPER_VOLUME, "emptyDir": {"sizeLimit": HELPER_SIZE}}
    for backend in backends:
        name = _named(backend)
        yield {"name": f"{name}-scratch", "emptyDir": {"sizeLimit": SCRATCH_SIZE}}
        if _words(_container(backend)):
            yield {"name": f"{name}-socket", "emptyDir": {"sizeLimit": SOCKET_SIZE}}


def runtime_mounts(server: McpServer) -> Iterator[dict[str, Any]]:
    """Make what the runtime's container sees of them: the sockets."""
    for backend in _with_containers(server):
        if _words(_container(backend)):
            path = f"{RUNTIME_SOCKETS}/{backend.name}"
            yield {"name": f"{_named(backend)}-socket", "mountPath": path}


def _with_containers(server: McpServer) -> Iterator[api.Backend]:
    return (backend for backend in server.spec.backends if backend.container is not None)


def _container(backend: api.Backend) -> Container:
    container = backend.container
    if container is None:
        raise ValueError(f"backend {backend.name} has no container")
    return container


def _named(backend: api.Backend) -> str:
    return f"backend-{backend.name}"


def _user(container: Container) -> int:
    return container.user or USER
