"""The settings of a pod's identity, as the runtime reads them."""

import json
from typing import Any

from breakwater_contract.backends import Backend, PythonBackend
from breakwater_contract.limits import Tls
from breakwater_contract.model import Model
from breakwater_contract.names import (
    CERTIFICATE_FILE,
    INTERNAL_DIRECTORY,
    KEYS_DIRECTORY,
    LIVE_FILE,
    PRIVATE_KEY_FILE,
)
from breakwater_contract.settings import Internal, Listen, RuntimeSettings, ServerIdentity
from breakwater_operator.api import backends as api
from breakwater_operator.api import names
from breakwater_operator.api.models import McpServer
from breakwater_operator.render import containers, remotes


def settings(server: McpServer, revision: str) -> str:
    """Write config.json for the pods of a revision."""
    return written(
        RuntimeSettings(
            server=ServerIdentity(name=server.name, namespace=server.namespace, uid=server.uid),
            revision=revision,
            backends=tuple(_backend(backend, server) for backend in server.spec.backends),
            gateway=server.spec.gateway,
            listen=Listen(host="::"),
            internal=Internal(directory=INTERNAL_DIRECTORY, peers=_peers(server)),
            drain=server.spec.limits.sessions.drain,
            tls=_tls(server),
            live_file=LIVE_FILE,
        )
    )


def _peers(server: McpServer) -> tuple[str, ...]:
    """Say where all pods are found, if what a principal does leaves something behind in one.

    So it is with children of a command. Not with replicas: pods stay when their number changes.
    """
    containers = [each.container for each in server.spec.backends if each.container is not None]
    if not any(each.stdio is not None and each.isolation != "Shared" for each in containers):
        return ()
    return (f"{names.metrics(server.name)}.{server.namespace}.svc",)


def _backend(backend: api.Backend, server: McpServer) -> Backend:
    if backend.python is not None:
        return Backend(name=backend.name, python=PythonBackend(server=backend.python.server))
    if backend.remote is not None:
        return Backend(name=backend.name, remote=remotes.settings(backend.name, backend.remote))
    return Backend(name=backend.name, container=containers.settings(backend, server))


def _tls(server: McpServer) -> Tls | None:
    if server.tls is None:
        return None
    return Tls(
        certificate_file=f"{KEYS_DIRECTORY}/{CERTIFICATE_FILE}",
        key_file=f"{KEYS_DIRECTORY}/{PRIVATE_KEY_FILE}",
        min_version=server.tls.min_version or "1.3",
    )


def written(model: Model) -> str:
    """Write settings of any kind, always the same way.

    Defaults are left out, so that an older runtime is not shown fields that it does not know.
    """
    content: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    version = model.model_dump(include={"version"})
    return json.dumps(version | content, sort_keys=True, separators=(",", ":"))
