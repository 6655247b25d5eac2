"""PersistentVolumeClaims: which pods can share one, and what is wrong where they cannot."""

from collections.abc import Iterator, Mapping
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
    return tuple(_faults(server, claims))


def _faults(server: McpServer, claims: Mapping[str, Claim]) -> Iterator[Fault]:
    scaling = server.spec.autoscaling
    most = scaling.max if scaling is not None else server.spec.replicas
    if server.spec.suspend or most <= REPLICAS_MAX:
        return
    for name in named(server):
        claim = claims.get(name)
        if claim is not None and not claim.shared:
            yield Fault(
                "spec.replicas" if scaling is None else "spec.autoscaling.max",
                f"{most} pods cannot share PersistentVolumeClaim "
                f"{server.namespace}/{name}, which is {', '.join(claim.access_modes)}; write "
                f"replicas: 1{' without autoscaling' if scaling else ''}, or mount a claim that is "
                "ReadWriteMany",
            )


def shareable(template: Mapping[str, Any], claims: Mapping[str, Claim]) -> bool:
    """Say whether an old and a new pod of a template may run at the same time.

    A claim that does not exist yet is taken for one that cannot be shared.
    """
    sources = [volume.get("persistentVolumeClaim") for volume in template["spec"]["volumes"]]
    found = [claims.get(source["claimName"]) for source in sources if source]
    return all(claim is not None and claim.shared for claim in found)
