"""Names, labels and owners of children."""

from typing import Any, Protocol

from breakwater_contract.names import API_GROUP, SERVER_LABEL
from breakwater_operator.api.names import MANAGER

API_VERSION = f"{API_GROUP}/v1alpha1"
KIND = "McpServer"
COMPONENT_LABEL = "app.kubernetes.io/component"

MORE_LABELS_ANNOTATION = f"{API_GROUP}/more-labels"
"""On a child with labels that only today's platform asks for: their keys. Nothing else tells one
that is no longer asked for from one that others added."""


class Named(Protocol):
    """A server, as far as its children's metadata names it: its spec need not be readable."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    @property
    def uid(self) -> str:
        """Its uid."""


def labels(server: Named) -> dict[str, str]:
    """Labels of every child and pod of a server.

    No version among them: a newer operator would have to touch every object and restart every pod.
    """
    return {
        "app.kubernetes.io/name": "mcp-server",
        "app.kubernetes.io/instance": server.name,
        COMPONENT_LABEL: "runtime",
        "app.kubernetes.io/managed-by": MANAGER,
        "app.kubernetes.io/part-of": MANAGER,
        SERVER_LABEL: server.name,
    }


def metadata(
    server: Named,
    name: str,
    more_labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    *,
    outlives: bool = False,
) -> dict[str, Any]:
    """Metadata of a child: it goes when its server goes, unless it `outlives` that."""
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": server.name,
        "uid": server.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "name": name,
        "namespace": server.namespace,
        "labels": labels(server) | (more_labels or {}),
        **({"annotations": annotations} if annotations else {}),
        **({} if outlives else {"ownerReferences": [owner]}),
    }
