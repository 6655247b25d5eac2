"""The operator with the chart's rights: they are enough for all it does, and it uses each."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import (
    CHILDREN,
    CLAIM,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    INGRESS,
    MCP_SERVER,
    OPTIONAL,
    POD,
    POD_MONITOR,
    SECRET,
    SERVICE,
    SERVICE_MONITOR,
)
from breakwater_operator.reconcile.signing import ROTATED_ANNOTATION
from tests.support.cluster import RunningCluster, eventually
from tests.support.granted import account, grant, roles
from tests.support.operator_ground import Ground, PatientApi, ground
from tests.support.optional_kinds import installed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.faultproxy import Seen

ROOT = Path(__file__).parents[2]

Object = dict[str, Any]
Use = tuple[str, str, str]
"""API group, resource, verb."""

ENFORCED_ELSEWHERE = ("breakwater.dev", "mcpservers/finalizers", "update")
"""No request: the API server looks for it where ownerReferences are made, if told to."""


@contextmanager
def stage(
    cluster: RunningCluster, folder: Path, mode: str
) -> Iterator[tuple[Ground, list[Object]]]:
    """Run an operator with the rights of the chart, where all kinds are known.

    It looks after servers of a class of its own: others are on their way out with their namespaces.
    """
    namespace = f"rbac-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    granted = roles(cluster, namespace, *([namespace] if mode == "namespaced" else []))
    options: Object = {
        "platform": {"operatorClass": namespace},
        "environment": {"BREAKWATER_TEST_LAG_SECONDS": "1"},
    }
    if mode == "cluster":
        options["watches_all"] = True
    try:
        with (
            PatientApi(cluster.kubeconfig) as api,
            installed(api),
            ground(
                cluster.kubeconfig,
                namespace,
                folder,
                ROOT,
                acts_as=account(namespace),
                prepare=lambda: grant(cluster, account(namespace), granted),
                **options,
            ) as op,
        ):
            yield op, granted
    finally:
        for one in granted:
            if one["kind"].startswith("Cluster"):
                cluster.kubectl("delete", one["kind"], one["metadata"]["name"], check=False)


def apply(op: Ground, name: str, **spec: Any) -> None:
    op.apply(name, operatorClass=op.namespace, **spec)


def settle(op: Ground, name: str) -> None:
    op.wait(name, "Ready")
    op.wait(name, "Progressing", "False")


SIGNING_KEY = "breakwater-signing-key"
LONG_AGO = "2000-01-01T00:00:00Z"

FULL: Object = {
    "replicas": 1,
    "autoscaling": {"max": 5},
    "expose": {
        "host": "full.example",
        "gateway": "infra/public",
        "certificate": {"issuer": "letsencrypt"},
    },
    "access": {"serviceAccounts": {"audience": "full"}},
    "pod": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]},
}


def live(op: Ground) -> None:
    """Have the operator do everything that it ever does."""
    full(op)
    copies(op)
    replaced(op)
    busy(op)
    rotated(op)
    op.delete(MCP_SERVER, "full")
    eventually(lambda: not op.children("full"), "all is gone", seconds=60)
    op.quiet()


def rotated(op: Ground) -> None:
    """Have its signing key followed by another one."""
    before = op.find(SECRET, SIGNING_KEY)
    op.patch(SECRET, SIGNING_KEY, {"metadata": {"annotations": {ROTATED_ANNOTATION: LONG_AGO}}})

    def is_another() -> bool:
        now = op.find(SECRET, SIGNING_KEY)["data"]
        return bool(now.keys() == before["data"].keys() and now != before["data"])

    eventually(is_another, "another key", seconds=60)


def full(op: Ground) -> None:
    """Have children of all kinds, and then fewer."""
    op.create(
        CLAIM,
        "data",
        spec={
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Mi"}},
        },
    )
    apply(op, "full", **FULL)
    eventually(lambda: op.get(SERVICE_MONITOR, "full") is not None, "all kinds", seconds=60)
    op.create(SECRET, "own", stringData={"crm": "a key"})
    fewer = {"access": {"keys": {"secretName": "own"}}, "monitoring": {"scrape": "PodMonitor"}}
    apply(op, "full", expose={"host": "full.example", "ingressClassName": "nginx"}, **fewer)
    settle(op, "full")
    op.patch(SECRET, "own", {"stringData": {"crm": "another"}})
    eventually(lambda: told(op, "full"), "pods are told", seconds=60)
    apply(op, "full", monitoring={"scrape": "None"}, runtime={"image": "registry.example/a:2"})
    settle(op, "full")
    eventually(lambda: op.get(POD_MONITOR, "full") is None, "it is pruned", seconds=60)


def told(op: Ground, name: str) -> bool:
    """Whether pods were told of changed keys."""
    found = op.api.get(f"{POD.path(op.namespace)}?labelSelector=breakwater.dev/server={name}")
    return any("breakwater.dev/live" in str(one["metadata"].get("annotations")) for one in
               found["items"])  # fmt: skip


def copies(op: Ground) -> None:
    """Copy a child of each kind, as people do: whatever names the server its owner is its child."""
    owned = op.find(SERVICE, "full")["metadata"]
    names = ("labels", "ownerReferences")
    metadata = {key: owned[key] for key in names}
    for kind in (*CHILDREN, *OPTIONAL):
        op.create(kind, "copy", metadata=dict(metadata), **CONTENT.get(kind.name, {}))
    for kind in (*CHILDREN, *OPTIONAL):
        if kind.name != "ControllerRevision":
            eventually(lambda kind=kind: op.get(kind, "copy") is None, f"{kind.name} goes")  # type: ignore[misc]  # mypy cannot infer a lambda with a default


TEMPLATE = {
    "metadata": {"labels": {"app": "copy"}},
    "spec": {"containers": [{"name": "a", "image": "registry.example/a:1"}]},
}
CONTENT: dict[str, Object] = {
    "ControllerRevision": {"revision": 1, "data": {"somebody": "else's"}},
    "NetworkPolicy": {"spec": {"podSelector": {}}},
    "Deployment": {"spec": {"selector": {"matchLabels": {"app": "copy"}}, "template": TEMPLATE}},
    "HorizontalPodAutoscaler": {
        "spec": {
            "maxReplicas": 2,
            "scaleTargetRef": {"kind": "Deployment", "name": "copy", "apiVersion": "apps/v1"},
        }
    },
    "Service": {"spec": {"ports": [{"port": 1}]}},
    "Ingress": {
        "spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 1}}}},
    },
}


def replaced(op: Ground) -> None:
    """Make a child what no change leads back from."""
    before = op.find(CONFIG_MAP, "full-live")["metadata"]["uid"]
    op.patch(CONFIG_MAP, "full-live", {"immutable": True, "data": {"v1.json": "{}"}})
    eventually(
        lambda: (
            (op.get(CONFIG_MAP, "full-live") or {}).get("metadata", {}).get("uid")
            not in {None, before}
        ),
        "it is made anew",
    )


def busy(op: Ground) -> None:
    """Have something of others under the name of each child."""
    names = {"Secret": "busy-keys", "ConfigMap": "busy-live", "Deployment": "busy-a"}
    names |= {"HorizontalPodAutoscaler": "busy-a"}
    revision = op.find(MCP_SERVER, "full")["status"]["revision"]
    for kind in (*CHILDREN, *OPTIONAL):
        op.create(kind, names.get(kind.name, "busy"), **CONTENT.get(kind.name, {}))
    apply(op, "busy", **FULL | {"runtime": {"image": "registry.example/a:2"}})
    op.wait("busy", "Degraded", "True", "NameTaken")
    crowded(op, revision)


def crowded(op: Ground, revision: str) -> None:
    """The same of children that a server has instead of others, and of its revision."""
    for kind in (INGRESS, POD_MONITOR):
        op.create(kind, "crowded", **CONTENT.get(kind.name, {}))
    op.create(CONTROLLER_REVISION, f"crowded-{revision}", **CONTENT[CONTROLLER_REVISION.name])
    apply(
        op,
        "crowded",
        expose={"host": "crowded.example", "ingressClassName": "nginx"},
        monitoring={"scrape": "PodMonitor"},
        runtime={"image": "registry.example/a:2"},
    )
    op.wait("crowded", "Degraded", "True", "NameTaken")


def used(seen: Iterable[Seen]) -> set[Use]:
    """Say what rights requests need."""
    found = set()
    for one in seen:
        if not one.plural:
            continue
        resource = f"{one.plural}/{one.part}" if one.part else one.plural
        found.add((one.group, resource, one.verb))
        if one.method == "PATCH" and one.status == 201:
            found.add((one.group, resource, "create"))
    return found


def is_own(seen: Seen) -> bool:
    """Whether a request is about what the operator keeps for itself."""
    is_key = seen.plural == "secrets" and (seen.name or seen.chosen).endswith("-signing-key")
    return is_key or seen.plural == "leases" or (seen.plural, seen.method) == ("secrets", "POST")


def granted(rules: Iterable[Object]) -> set[Use]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("mode", ["namespaced", "cluster"])
@pytest.mark.requirement("C3")
def test_the_operators_rights_are_what_it_uses(
    control_plane: RunningCluster, tmp_path: Path, mode: str
) -> None:
    with stage(control_plane, tmp_path, mode) as (op, rendered):
        live(op)
        seen = list(op.proxy.seen)

    rules = {one["metadata"]["name"]: one["rules"] for one in rendered if "rules" in one}
    own = rules.pop("breakwater-operator-own")
    (main,) = rules.values()
    kinds = {one["kind"] for one in rendered}
    assert ("ClusterRole" in kinds) is (mode == "cluster")
    denied = [one for one in seen if one.status in {401, 403}]
    assert denied == [], op.operator.log[-6000:]
    assert used(one for one in seen if not is_own(one)) == granted(main) - {ENFORCED_ELSEWHERE}
    assert used(one for one in seen if is_own(one)) == granted(own)
