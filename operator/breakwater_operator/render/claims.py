"""PersistentVolumeClaims: which pods can share one, and what is wrong where they cannot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from breakwater_operator.api.errors import Fault
from breakwater_operator.api.models import McpServer

SHARED = {"ReadWriteMany", "ReadOnlyMany"}
"""Access modes that pods of several nodes can use at once."""

REPLICAS_MAX = 1
"""How many pods can mount a claim that cannot be shared."""


@dataclass(frozen=True)
class Claim:
    """What matters of a PersistentVolumeClaim that exists."""

    access_modes: tuple[str, ...]
    """`spec.accessModes`: may never change once the claim exists."""

    @property
    def shared(self) -> bool:
        """Whether several pods can mount it at once."""
        return not SHARED.isdisjoint(self.access_modes)


def named(server: McpServer) -> tuple[str, ...]:
    """Name the claims that a server's pods mount, in alphabetical order."""
    sources = [volume.persistent_volume_claim for volume in server.spec.pod.volumes]
    return tuple(sorted({source.claim_name for source in sources if source is not None}))


def faults(server: McpServer, claims: Mapping[str, Claim]) -> tuple[Fault, ...]:
    """Say what the manifest asks of claims that they cannot give.

    Args:
        server: The server.
        claims: Its claims by name; one that does not exist is absent.
    """
    return tuple(_fault(server, name, claims[name]) for name in crowded(server, claims))


def crowded(server: McpServer, claims: Mapping[str, Claim]) -> tuple[str, ...]:
    """Name the claims that as many pods as the manifest asks for cannot share."""
    if server.spec.suspend or _most(server) <= REPLICAS_MAX:
        return ()
    found = [name for name in named(server) if name in claims]
    return tuple(name for name in found if not claims[name].shared)


def mounted(template: Mapping[str, Any]) -> frozenset[str]:
    """Name the claims that the pods of a template mount."""
    sources = [volume.get("persistentVolumeClaim") for volume in template["spec"]["volumes"]]
    return frozenset(source["claimName"] for source in sources if source)


def shareable(template: Mapping[str, Any], claims: Mapping[str, Claim]) -> bool:
    """Say whether an old and a new pod of a template may run at the same time.

    With a claim that does not exist the new one waits whatever the old one does, which serves.
    """
    found = [claims[name] for name in mounted(template) if name in claims]
    return all(claim.shared for claim in found)


def _most(server: McpServer) -> int:
    scaling = server.spec.autoscaling
    return scaling.max if scaling is not None else server.spec.replicas


def _fault(server: McpServer, name: str, claim: Claim) -> Fault:
    scaling = server.spec.autoscaling
    return Fault(
        "spec.replicas" if scaling is None else "spec.autoscaling.max",
        f"{_most(server)} pods cannot share PersistentVolumeClaim {server.namespace}/{name}, which "
        f"is {', '.join(claim.access_modes)}; write replicas: 1"
        f"{' without autoscaling' if scaling else ''}, or mount a claim that is ReadWriteMany",
    )
