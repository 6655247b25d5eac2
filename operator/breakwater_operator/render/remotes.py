"""Backends that run somewhere else: what the runtime is told, and the Secrets that it needs."""

import re
from collections.abc import Iterator
from typing import Any

from breakwater_contract.remote import Credential, Exchange, RemoteBackend, RemoteRules
from breakwater_contract.remote import TokenExchange as ExchangeRules
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.remote import RemoteBackend as Remote
from breakwater_operator.api.remote import SecretEntry

REMOTE_PATH = "/etc/breakwater-remote"
"""Where the runtime finds the secrets of all of them, each in a folder of its own."""

OWNER_AND_GROUP = 0o440

CLUSTER_HOST = re.compile(r"[^.]+\.[^.]+\.svc(\..+)?")
"""The name of a Service, as the cluster's DNS knows it."""

CLUSTER_NETWORKS = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "fc00::/7",
)
"""Where the Services of a cluster are: private ranges, none of which holds a machine's metadata."""


def settings(name: str, remote: Remote) -> RemoteBackend:
    """Make what the runtime is told of one."""
    said = {field: getattr(remote, field) for field in RemoteRules.model_fields}
    if CLUSTER_HOST.fullmatch(remote.host):
        said["addresses"] = (*remote.addresses, *CLUSTER_NETWORKS)
    return RemoteBackend(
        **said, credential=_credential(name, remote), token_exchange=_exchange(name, remote)
    )


def _credential(name: str, remote: Remote) -> Credential | None:
    said = remote.credential
    if said is None:
        return None
    file = f"{REMOTE_PATH}/{name}/{said.secret_key_ref.key}"
    return Credential(file=file, header=said.header, scheme=said.scheme)


def _exchange(name: str, remote: Remote) -> Exchange | None:
    said = remote.token_exchange
    if said is None:
        return None
    rules = {field: getattr(said, field) for field in ExchangeRules.model_fields}
    file = f"{REMOTE_PATH}/{name}/{said.client_secret_key_ref.key}"
    return Exchange(**rules, client_secret_file=file)


def urls(server: McpServer) -> Iterator[str]:
    """Say where the pods must be able to go because of them."""
    for backend in server.spec.backends:
        if backend.remote is not None:
            yield backend.remote.url
            if backend.remote.token_exchange is not None:
                yield backend.remote.token_exchange.url


def volumes(server: McpServer) -> Iterator[dict[str, Any]]:
    """Make the volumes of their Secrets; one that is missing keeps no pod from starting."""
    for name, entry in _entries(server):
        yield {
            "name": _volume(name),
            "secret": {
                "secretName": entry.name,
                "items": [{"key": entry.key, "path": entry.key}],
                "defaultMode": OWNER_AND_GROUP,
                "optional": True,
            },
        }


def mounts(server: McpServer) -> Iterator[dict[str, Any]]:
    """Say where they appear in the runtime's container."""
    for name, _ in _entries(server):
        path = f"{REMOTE_PATH}/{name}"
        yield {"name": _volume(name), "mountPath": path, "readOnly": True}


def _entries(server: McpServer) -> Iterator[tuple[str, SecretEntry]]:
    for backend in server.spec.backends:
        remote = backend.remote
        if remote is not None and remote.credential is not None:
            yield backend.name, remote.credential.secret_key_ref
        if remote is not None and remote.token_exchange is not None:
            yield backend.name, remote.token_exchange.client_secret_key_ref


def _volume(backend: str) -> str:
    return f"breakwater-remote-{backend}"
