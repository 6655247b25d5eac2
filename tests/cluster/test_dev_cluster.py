"""The cluster with a node does what a user's cluster does."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cluster import PROBE_IMAGE, RunningCluster, eventually, wait_for_account

if TYPE_CHECKING:
    from collections.abc import Sequence

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
USER = {
    "runAsNonRoot": True,
    "runAsUser": 1234,
    "runAsGroup": 1234,
    "fsGroup": 4321,
    "seccompProfile": {"type": "RuntimeDefault"},
}
ANSWERS = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}


def pod_spec(arguments: Sequence[str], *, claim: str = "", **container: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "securityContext": USER,
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "probe",
                "image": PROBE_IMAGE,
                "args": list(arguments),
                "securityContext": RESTRICTED,
                **container,
            }
        ],
    }
    if claim:
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return spec


def pod(namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def deployment(namespace: str, name: str, replicas: int, spec: dict[str, Any]) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def web(namespace: str, replicas: int = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = pod_spec(
        ["serve", ":8080"],
        ports=[{"containerPort": 8080}],
        readinessProbe=ANSWERS,
        resources={"requests": {"cpu": "50m", "memory": "16Mi"}},
    )
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    return deployment(namespace, "web", replicas, spec), service


@pytest.fixture
def cluster(node_cluster: RunningCluster, namespace: str) -> RunningCluster:
    """The node, with the probe image, and a namespace that enforces the restricted profile."""
    node_cluster.load_probe()
    label = "pod-security.kubernetes.io/enforce=restricted"
    node_cluster.kubectl("label", "namespace", namespace, label)
    wait_for_account(node_cluster, namespace)
    return node_cluster


def run(cluster: RunningCluster, namespace: str, name: str, spec: dict[str, Any]) -> str:
    """Run a pod to its end and return what it wrote."""
    cluster.apply(pod(namespace, name, {**spec, "restartPolicy": "Never"}))
    ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated}"
    cluster.kubectl("-n", namespace, "wait", ended, f"pod/{name}", "--timeout=60s")
    return cluster.kubectl("-n", namespace, "logs", name)


def test_a_service_spreads_over_ready_pods_for_pods_and_for_the_host(
    cluster: RunningCluster, namespace: str
) -> None:
    cluster.apply(*web(namespace, replicas=2))
    available = ("wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
    cluster.kubectl("-n", namespace, *available)
    pods = {item["metadata"]["name"] for item in cluster.get("pods", "-n", namespace)["items"]}

    address = cluster.get("service", "web", "-n", namespace)["spec"]["clusterIP"]
    # kube-proxy hears of pods that are available when everybody does.
    eventually(
        lambda: {_get(f"http://{address}/") for _ in range(50)} == pods, "the host reaches both"
    )
    inside = run(cluster, namespace, "client", pod_spec(["get", "http://web/"]))

    assert inside.strip() in pods


@pytest.mark.parametrize(
    ("name", "known"),
    [
        pytest.param("kubernetes.default", True, id="short"),
        pytest.param("kubernetes.default.svc.cluster.local", True, id="full"),
        pytest.param("www.example.org", False, id="outside"),
    ],
)
def test_names_of_the_cluster_resolve_and_no_others(
    cluster: RunningCluster, namespace: str, name: str, known: bool
) -> None:
    api = cluster.get("service", "kubernetes", "-n", "default")["spec"]["clusterIP"]

    said = run(cluster, namespace, "resolver", pod_spec(["resolve", name]))

    assert (api in said.split()) is known
    assert ("no such host" in said) is not known


def test_a_claim_is_bound_belongs_to_the_fs_group_and_outlives_the_pod(
    cluster: RunningCluster, namespace: str
) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    cluster.apply(claim)

    owner = run(cluster, namespace, "writer", pod_spec(["write", "/data/x"], claim="data"))
    again = run(cluster, namespace, "reader", pod_spec(["read", "/data/x"], claim="data"))

    assert owner.strip() == "1234:4321"
    assert "written" in again
    volume = cluster.get("pvc", "data", "-n", namespace)["spec"]["volumeName"]
    path = cluster.cluster.folder / "volumes" / volume
    assert (path / "x").read_text() == "written\n"
    cluster.kubectl("-n", namespace, "delete", "pod/writer", "pod/reader", "pvc/data")
    eventually(lambda: not path.exists(), "the volume's folder is removed")


def test_logs_and_exec_work(cluster: RunningCluster, namespace: str) -> None:
    cluster.apply(pod(namespace, "one", pod_spec(["serve", ":8080"], readinessProbe=ANSWERS)))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/one", "--timeout=60s")

    logs = cluster.kubectl("-n", namespace, "logs", "one")
    execed = cluster.kubectl(
        "-n", namespace, "exec", "one", "--", "/probe", "get", "http://127.0.0.1:8080/"
    )

    assert logs == "serving as one\n"
    assert execed == "one\n"


def test_a_pod_that_runs_as_root_is_refused_where_the_namespace_says_so(
    cluster: RunningCluster, namespace: str
) -> None:
    spec = pod_spec(["serve", ":8080"]) | {"securityContext": {}}

    def is_refused() -> bool:
        # Admission hears of the namespace's label when everybody does.
        tried = ("create", "--dry-run=server", "-f", "-")
        return not cluster.kubectl(
            *tried, stdin=json.dumps(pod(namespace, "root", spec)), check=False
        )

    eventually(is_refused, "it is refused")
    with pytest.raises(pytest.fail.Exception, match="violates PodSecurity"):
        cluster.apply(pod(namespace, "root", spec))


def test_a_changed_config_map_reaches_the_pod_within_seconds(
    cluster: RunningCluster, namespace: str
) -> None:
    def config(value: str) -> dict[str, Any]:
        meta = {"name": "settings", "namespace": namespace}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"x": value}}

    spec = pod_spec(
        ["serve", ":8080"], volumeMounts=[{"name": "settings", "mountPath": "/settings"}]
    )
    spec["volumes"] = [{"name": "settings", "configMap": {"name": "settings"}}]
    cluster.apply(config("old"), pod(namespace, "one", spec))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/one", "--timeout=60s")

    cluster.apply(config("new"))

    read = ("exec", "one", "--", "/probe", "read", "/settings/x")
    eventually(
        lambda: cluster.kubectl("-n", namespace, *read) == "new", "the pod sees it", seconds=20
    )


def test_a_watch_of_a_kind_that_does_not_change_hears_bookmarks(
    cluster: RunningCluster, namespace: str
) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"
    since = json.loads(cluster.kubectl("get", "--raw", path))["metadata"]["resourceVersion"]
    cluster.kubectl("-n", namespace, "create", "configmap", "something-else")

    query = f"watch=1&allowWatchBookmarks=true&timeoutSeconds=12&resourceVersion={since}"
    heard = cluster.kubectl("get", "--raw", f"{path}?{query}").splitlines()

    assert {json.loads(line)["type"] for line in heard} == {"BOOKMARK"}


def test_nothing_leaves_the_cluster(cluster: RunningCluster, namespace: str) -> None:
    # TEST-NET-1: nobody's address; what matters is that no route leads there.
    said = run(cluster, namespace, "out", pod_spec(["get", "http://192.0.2.1/"]))

    assert any(word in said for word in ("deadline", "unreachable", "no route"))


def test_an_autoscaler_follows_the_load(cluster: RunningCluster, namespace: str) -> None:
    cluster.apply(*web(namespace))
    available = ("wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
    cluster.kubectl("-n", namespace, *available)
    scaling = ("autoscale", "deployment/web", "--min=1", "--max=3", "--cpu=50%")
    cluster.kubectl("-n", namespace, *scaling)
    address = cluster.get("service", "web", "-n", namespace)["spec"]["clusterIP"]

    end = time.monotonic() + 120
    wanted = 1
    # What is measured first may be of a moment before the load.
    while wanted < 3 and time.monotonic() < end:
        # Each request keeps a core busy for a second: twenty times what was requested.
        _get(f"http://{address}/burn")
        wanted = cluster.get("deployment", "web", "-n", namespace)["spec"]["replicas"]

    assert wanted == 3


def _get(url: str) -> str:
    """What is answered; nothing where nobody is reached yet."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            text: str = answer.read().decode()
    except OSError:
        return ""
    return text.strip()
