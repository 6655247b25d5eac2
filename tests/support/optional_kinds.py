"""The kinds that not every cluster knows, as a cluster knows them that has their projects."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from breakwater_operator.kube.kinds import OPTIONAL, Kind
from tests.support.cluster import RunningCluster, eventually
from tests.support.definitions import DEFINITIONS, SERVED_SECONDS, is_served
from tests.support.operator_ground import Ground, PatientApi, ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from dev.cluster.api import Api

ROOT = Path(__file__).parents[2]
COLLECTED = {"monitoring": {"otlp": {"endpoint": "http://collector.telemetry.svc:4318"}}}
"""A platform that has what manifests may ask of it."""


def definition(kind: Kind) -> dict[str, Any]:
    """Define a kind whose objects may say anything."""
    group, _, version = kind.api_version.partition("/")
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, of a test"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "plural": kind.plural,
                "singular": kind.name.lower(),
            },
            "versions": [served | {"schema": {"openAPIV3Schema": anything}}],
        },
    }


@contextmanager
def installed(api: Api) -> Iterator[None]:
    """Have the cluster know all of them."""
    paths = [f"{DEFINITIONS}/{definition(kind)['metadata']['name']}" for kind in OPTIONAL]
    for kind in OPTIONAL:
        api.create(DEFINITIONS, definition(kind))
    try:
        for path in paths:
            eventually(partial(is_served, api, path), f"{path} is served", seconds=SERVED_SECONDS)
        yield
    finally:
        for path in paths:
            api.delete(path)
        # Nothing can be made of a definition that is on its way out, also under a new one's name.
        eventually(lambda: not any(map(api.find, paths)), "they are gone", seconds=60)


@contextmanager
def complete_ground(
    cluster: RunningCluster, folders: pytest.TempPathFactory, title: str
) -> Iterator[Ground]:
    """Start an operator in a new namespace of a cluster that knows all kinds.

    Args:
        cluster: The cluster.
        folders: Where files may be put.
        title: How the name of the namespace begins.
    """
    name = f"{title}-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    with (
        PatientApi(cluster.kubeconfig) as api,
        installed(api),
        ground(cluster.kubeconfig, name, folders.mktemp(title), ROOT, platform=COLLECTED) as made,
    ):
        yield made
