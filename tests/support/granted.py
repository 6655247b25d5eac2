"""What the chart grants the operator."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.cluster import eventually

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


def grant(cluster: RunningCluster, who: str, granted: list[dict[str, Any]]) -> None:
    """Grant it, and wait until the API server goes by it: it follows what is granted, as others do.

    Args:
        cluster: Where.
        who: Who has it then.
        granted: What the chart renders.
    """
    cluster.apply(*granted)
    for one in granted:
        if one["kind"] in {"Role", "ClusterRole"}:
            eventually(partial(_holds, cluster, who, one), f"{one['metadata']['name']} is granted")


def _holds(cluster: RunningCluster, who: str, role: dict[str, Any]) -> bool:
    rule = role["rules"][-1]
    name, _, part = rule["resources"][-1].partition("/")
    what = {"verb": rule["verbs"][-1], "group": rule["apiGroups"][-1]}
    what |= {"resource": name, "subresource": part, "name": rule.get("resourceNames", [""])[0]}
    return may(cluster, who, what | {"namespace": role["metadata"].get("namespace", "")})


def may(cluster: RunningCluster, who: str, what: dict[str, str]) -> bool:
    """Ask the API server whether somebody may do something."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": who, "resourceAttributes": what},
    }
    answer = cluster.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])


def account(namespace: str) -> str:
    """Say who the operator of a namespace is."""
    return f"system:serviceaccount:{namespace}:breakwater-operator"
