"""From manifests to the children that the operator would make, without a cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from breakwater_operator.api import allowed
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.cli.manifests import Manifests
from breakwater_operator.render import (
    Claim,
    Intent,
    Manifest,
    children,
    claims,
    revision,
    ring,
    secrets,
)

Entropy = Callable[[int], bytes]

SECRET_BYTES = 32

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
"""When keys were made that no process here uses: one alone shares nothing."""


@dataclass(frozen=True)
class Rendering:
    """Renders the servers of some manifests, always with the same secrets."""

    manifests: Manifests
    platform: Platform
    seed: bytes
    """Stands for the operator's own."""
    fresh: bytes
    """What generated keys are made of."""

    def intent(self, server: McpServer) -> Intent:
        """Resolve what a manifest leaves to the cluster.

        Raises:
            NotReadyError: The Secret with the keys is not among the manifests, or has none.
        """
        keys = secrets.resolve(
            server, self._find("Secret", server, secrets.key_secret_name(server)), None,
            self.seed, self.fresh,
        )  # fmt: skip
        if keys.wait is not None:
            raise keys.wait
        return Intent(
            server=server,
            platform=self.platform,
            revision=revision.current(server, self.platform, ()),
            keys=keys,
            ring=ring.first(server, LONG_AGO, self.fresh),
            operator_keys=(),
            claims={
                name: Claim(tuple((found.get("spec") or {}).get("accessModes") or ()))
                for name in claims.named(server)
                if (found := self._find("PersistentVolumeClaim", server, name)) is not None
            },
        )

    def children(self, server: McpServer) -> tuple[Manifest, ...]:
        """Render every child.

        Raises:
            BreakwaterError: What the operator would say in a condition.
        """
        allowed.check(server, self.platform)
        return children(self.intent(server))

    def _find(self, kind: str, server: McpServer, name: str) -> Any:
        return self.manifests.find(kind, server.namespace, name)
