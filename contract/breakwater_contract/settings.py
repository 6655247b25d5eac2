"""The runtime's settings: what the operator renders and what people write by hand.

Two parts, told apart by what a change of them does. `RuntimeSettings` belongs to a pod's identity:
a change means new pods. `LiveSettings` is taken over by a running process.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from breakwater_contract.access import Access
from breakwater_contract.backends import Backend, Port
from breakwater_contract.gateway import BackendTools, Gateway, once
from breakwater_contract.limits import Limits, Tls
from breakwater_contract.model import Model
from breakwater_contract.monitoring import Monitoring, Otlp
from breakwater_contract.names import INTERNAL_HASHED, INTERNAL_PORT, MANAGEMENT_PORT, PUBLIC_PORT
from breakwater_contract.rules import atomic
from breakwater_contract.shared_rates import SharedRates
from breakwater_contract.units import Duration

SETTINGS_VERSION: Literal[1] = 1
"""Raised when a setting changes its meaning; the operator renders live settings for each version
that some pod still runs."""

STREAMABLE_HTTP: Literal["StreamableHTTP"] = "StreamableHTTP"
SSE: Literal["SSE"] = "SSE"
JSONRPC: Literal["JSONRPC"] = "JSONRPC"
REST: Literal["REST"] = "REST"
EndpointName = Literal["StreamableHTTP", "SSE", "JSONRPC", "REST"]
"""Ways for clients: `/mcp`; `/mcp/sse` with `/mcp/messages`; `/rpc`; `/tools` and `/sse`."""
Endpoints = Annotated[tuple[EndpointName, ...], atomic(4, least=1)]

BACKENDS_MAX = 32
"""How many backends one process serves; each of them may have sessions and processes of its own."""

DRAIN_SECONDS_MAX = 3600
"""The longest drain: what waits longer for a session keeps a node from being repaired."""


class ServerIdentity(Model):
    """Which server this is."""

    name: str = "breakwater"
    """The name of the McpServer."""
    namespace: str = ""
    """Its namespace; empty outside Kubernetes."""
    uid: str = ""
    """Its uid, the audience that the operator's tokens must name; empty outside Kubernetes."""


class Listen(Model):
    """Where the runtime listens."""

    host: str = "127.0.0.1"
    """Address to bind the ports to; `::` is all of them, of IPv6 and of IPv4."""
    public_port: Port = PUBLIC_PORT
    """Port for clients; everything on it needs a credential."""
    management_port: Port = MANAGEMENT_PORT
    """Port for probes, metrics and the operator."""
    internal_port: Port = INTERNAL_PORT
    """Port for what other pods of this server pass on; open only where `internal` is set."""

    @model_validator(mode="after")
    def _different_ports(self) -> "Listen":
        if self.public_port == self.management_port:
            raise ValueError(f"publicPort and managementPort are both {self.public_port}")
        if self.internal_port in {self.public_port, self.management_port}:
            raise ValueError(f"internalPort and another port are both {self.internal_port}")
        return self


PeerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:\[\]_-]{1,300}$")]


class Internal(Model):
    """What this process shares with the others of its server, so that any can reach a session."""

    directory: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """Folder with `ring.json` (the keys that seal session ids), `ca.crt`, `tls.crt` and `tls.key`
    (the certificate that they know each other by); a relative path is relative to the settings
    file. The files are read again when they change."""
    peers: Annotated[tuple[PeerName, ...], Field(max_length=64)] = ()
    """Host names or addresses at which all processes of the server are found, each with a port or
    at that of ours. Where there are any, requests without a session are answered by the process
    that all choose for their principal: set for backends that keep something for each."""


class OperatorKey(Model):
    """The public half of one of the operator's signing keys."""

    kid: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """The key's id, as tokens name it."""
    public_key: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """The key as PEM (SubjectPublicKeyInfo, Ed25519)."""


class LiveSettings(Model):
    """What a running runtime takes over without a restart."""

    version: Literal[1] = SETTINGS_VERSION
    """The version of these settings."""
    keys_directory: str | None = None
    """Folder with one file per principal, each with one key per line; a relative path is relative
    to the settings file. A key is plain or `sha256:<hex>`, optionally followed by
    ` expires=<RFC 3339>`."""
    access: Access = Access()
    """Who may use the server beyond the holders of keys, from where, and what."""
    admin_key_file: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    """File with keys, one per line, that show the details of health on the management port, to
    whoever runs this without an operator; a relative path is relative to the settings file."""
    operator_keys: tuple[OperatorKey, ...] = ()
    """Keys whose tokens speak for the operator on the management port."""
    endpoints: Endpoints = ("StreamableHTTP", "SSE")
    """Which ways for clients are open; the others are answered 404."""
    limits: Limits = Limits()
    """How much clients may have of one replica."""
    shared_rates: SharedRates | None = None
    """Where the replicas of a server count the requests of principals and the calls of tools
    together; unset: each counts for itself."""
    sessions: Literal["Auto", "Never"] = "Auto"
    """Whether clients of older revisions get a session where a server can ask them something or
    keeps something for them. `Never` where several processes answer that share nothing
    (`internal`): a session lives in one of them."""
    monitoring: Monitoring = Monitoring()
    """What is written down of the server's work."""
    otlp: Otlp | None = None
    """Where traces and metrics are sent; unset: nowhere."""
    tools: Annotated[tuple[BackendTools, ...], Field(max_length=BACKENDS_MAX)] = ()
    """What is shown of the tools of each backend; all of those that do not stand here."""

    @model_validator(mode="after")
    def _one_entry_each(self) -> "LiveSettings":
        once(self.tools, "backend", "tools has two entries for the backend {}")
        return self

    @model_validator(mode="after")
    def _traces_go_somewhere(self) -> "LiveSettings":
        if self.monitoring.tracing is not None and self.otlp is None:
            raise ValueError("monitoring.tracing needs otlp.endpoint: where traces are sent")
        return self


class RuntimeSettings(Model):
    """What belongs to the identity of one runtime process; a change needs a new process."""

    version: Literal[1] = SETTINGS_VERSION
    """The version of these settings."""
    server: ServerIdentity = ServerIdentity()
    """Which server this is."""
    revision: str = ""
    """The revision of the McpServer that rendered these settings; empty outside Kubernetes."""
    backends: Annotated[tuple[Backend, ...], Field(min_length=1, max_length=BACKENDS_MAX)]
    """Where the tools come from. Several are served as one server, with the name of each before
    the names of its tools."""
    gateway: Gateway | None = None
    """How several backends are served as one; absent: as `gateway: {}` where there are several."""
    listen: Listen = Listen()
    """Where the runtime listens."""
    tls: Tls | None = None
    """HTTPS in place of HTTP on the public port."""
    internal: Internal | None = None
    """What several processes of one server share. Absent: sessions are known in this process
    alone."""
    drain: Duration = Duration("5m")
    """How long calls may go on and sessions be reached after the signal to stop; at most 1h."""
    live: LiveSettings | None = None
    """The live settings, written here; then they change with this file."""
    live_file: str | None = None
    """The file that holds the live settings; a relative path is relative to this file."""

    @model_validator(mode="after")
    def _consistent(self) -> "RuntimeSettings":
        if (self.live is None) == (self.live_file is None):
            raise ValueError("write exactly one of live (the settings) and liveFile (their file)")
        once(self.backends, "name", "two backends are called {}")
        self._knows_backends()
        if self.drain.seconds > DRAIN_SECONDS_MAX:
            raise ValueError(f"drain is {self.drain}, accepted are at most 1h")
        return self

    def _knows_backends(self) -> None:
        """Refuse what is said of the tools of a backend that there is not.

        In a file of its own it may be for pods of another revision, which has other backends.
        """
        names = [each.name for each in self.backends]
        for each in self.live.tools if self.live is not None else ():
            if each.backend not in names:
                raise ValueError(
                    f"live.tools is about the backend {each.backend}; accepted: {', '.join(names)}"
                )


def live_files(keys: Mapping[str, bytes], internal: Mapping[str, bytes]) -> dict[str, bytes]:
    """Name the files besides the live settings by what `live_hash` calls them.

    Args:
        keys: The content of each key file by principal.
        internal: The content of each file in the folder that pods share, by its name.
    """
    return {**keys, **{f"{INTERNAL_HASHED}{name}": content for name, content in internal.items()}}


def live_hash(hash_key: bytes, live: bytes, keys: Mapping[str, bytes]) -> str:
    """Name one state of the live settings, the same on both sides.

    Args:
        hash_key: A random key that only this server's pods and the operator know, so that the
            name, which stands in an annotation, says nothing about short keys.
        live: The content of the live settings file.
        keys: The content of each file beside it, by name, as `live_files` gives them.

    Returns:
        16 hexadecimal digits.
    """
    mac = hmac.new(hash_key, hashlib.sha256(live).digest(), hashlib.sha256)
    for principal in sorted(keys):
        mac.update(hashlib.sha256(principal.encode()).digest())
        mac.update(hashlib.sha256(keys[principal]).digest())
    return mac.hexdigest()[:16]
