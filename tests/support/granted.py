"""What the chart grants the operator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.support.cluster import RunningCluster

ROOT = Path(__file__).parents[2]
ROLES = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


def roles(cluster: RunningCluster, namespace: str, *watched: str) -> list[dict[str, Any]]:
    """Render what the chart grants.

    Args:
        cluster: Where Helm is.
        namespace: Where the operator is.
        watched: The namespaces that it looks after; none: all of them.
    """
    options = ["--set", "image.registry=registry.example", "--set", "crds.enabled=false"]
    if watched:
        options += ["--set", f"watchNamespaces={{{','.join(watched)}}}"]
    text = cluster.helm(
        "template",
        "breakwater",
        str(ROOT / "charts/breakwater"),
        "--namespace",
        namespace,
        "--kube-version",
        "1.31.0",
        *options,
    )
    return [one for one in yaml.safe_load_all(text) if one and one["kind"] in ROLES]


def account(namespace: str) -> str:
    """Say who the operator of a namespace is."""
    return f"system:serviceaccount:{namespace}:breakwater-operator"
