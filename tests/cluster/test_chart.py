"""The chart as Helm renders it, and as an API server takes it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from breakwater_operator.api.platform import Platform
from dev.cluster import build
from dev.cluster.local import LocalCluster
from dev.cluster.settings import Settings
from tests.support.cluster import RunningCluster
from tests.support.granted import grant, may

CHART = Path(__file__).resolve().parents[2] / "charts/breakwater"
REGISTRY = 'image.registry:="registry.example/team"'
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"

Object = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]

CHANGES = {
    "image.registry": "other.example:5000/x",
    "image.tag": "2.0",
    "image.pullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "fullnameOverride": "mine",
    "crds.enabled": False,
    "watchNamespaces": ["team-a"],
    "operator.repository": "mirror/operator",
    "operator.tag": "2.0",
    "operator.replicas": 3,
    "operator.resources.requests.cpu": "250m",
    "operator.resources.requests.memory": "64Mi",
    "operator.resources.limits.memory": "1Gi",
    "operator.podLabels": {"team": "platform"},
    "operator.podAnnotations": {"team": "platform"},
    "operator.nodeSelector": {"pool": "system"},
    "operator.tolerations": [{"key": "system", "operator": "Exists"}],
    "operator.affinity": {"podAntiAffinity": {}},
    "operator.priorityClassName": "high",
    "operator.serviceMonitor": "Always",
    "operator.prometheusRule": "Always",
    "runtime.repository": "mirror/runtime",
    "runtime.tag": "2.0",
    "platform": {"gateway": "infra/public"},
}
"""Another value for each of the chart's."""


@pytest.fixture(scope="module")
def helm() -> Helm:
    """Helm, without a cluster."""
    folder = LocalCluster(Settings.from_environment(), "chart").program(build.HELM)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(folder / "helm"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def template(
    helm: Helm, *sets: str, namespace: str = "breakwater-system", release: str = "breakwater"
) -> subprocess.CompletedProcess[str]:
    """Render with values as --set takes them, or with JSON ones behind `path:=`."""
    options = [part for one in sets for part in _option(one)]
    where = ("--namespace", namespace, "--kube-version", "1.31.0")
    return helm("template", release, str(CHART), *where, *options)


def _option(one: str) -> tuple[str, str]:
    return ("--set-json", one.replace(":=", "=", 1)) if ":=" in one else ("--set", one)


def rendered(helm: Helm, *sets: str, **where: str) -> list[Object]:
    done = template(helm, REGISTRY, *sets, **where)
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def only(objects: list[Object], kind: str) -> Object:
    (found,) = (one for one in objects if one["kind"] == kind)
    return found


def config(objects: list[Object]) -> Platform:
    return Platform.parse(yaml.safe_load(only(objects, "ConfigMap")["data"]["config.yaml"]))


def leaves(values: Object, path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_helm_finds_nothing_to_complain_about(helm: Helm) -> None:
    done = helm("lint", "--strict", str(CHART), *_option(REGISTRY))

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param(
            "runtime.tag=x", "--set image.registry=registry.example/team", id="no-registry"
        ),
        pytest.param("image.registry=https://a.example/b", "has a scheme", id="scheme"),
        pytest.param("image.registry=a.example/b:1", "is not host[:port][/path]", id="tag"),
        pytest.param("image.registri=a", "'registri' not allowed", id="misspelt"),
        pytest.param("replicas=2", "'replicas' not allowed", id="unknown"),
        pytest.param("platform.gatewy=a/b", "'/platform': additional", id="platform"),
        pytest.param("image.pullPolicy=Sometimes", "must be one of 'IfNotPresent'", id="enum"),
        pytest.param("watchNamespaces[0]=A_b", "/watchNamespaces/0", id="namespace"),
        pytest.param("operator.tag=a:b", "/operator/tag", id="tag-characters"),
        pytest.param("operator.resources.requests.cpu=fast", "/requests/cpu", id="quantity"),
    ],
)
def test_wrong_values_are_refused_with_what_to_write(helm: Helm, wrong: str, said: str) -> None:
    done = template(helm, wrong)

    assert done.returncode != 0
    assert said in done.stderr


def test_an_older_kubernetes_is_refused(helm: Helm) -> None:
    done = helm("template", str(CHART), "--kube-version", "1.30.9", *_option(REGISTRY))

    assert "requires kubeVersion: >=1.31" in done.stderr


def test_both_images_come_from_the_registry_with_tags_of_their_own(helm: Helm) -> None:
    objects = rendered(
        helm, "image.registry=breakwater.local/", "operator.tag=a1", "runtime.tag=b2"
    )

    pod = only(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "breakwater.local/breakwater-operator:a1"
    assert config(objects).images.runtime == "breakwater.local/breakwater-runtime:b2"


def test_the_operator_can_read_its_configuration(helm: Helm) -> None:
    namespaces = "watchNamespaces={team-a,team-b}"
    objects = rendered(
        helm, namespaces, "imagePullSecrets[0].name=registry", "image.pullPolicy=Never", release="b"
    )

    platform = config(objects)

    assert (platform.namespace, platform.instance) == ("breakwater-system", "b-breakwater")
    assert platform.watch_namespaces == ("team-a", "team-b")
    assert (platform.images.pull_policy, platform.images.pull_secrets) == ("Never", ("registry",))


def test_the_operator_reads_what_the_platforms_owner_chose(helm: Helm) -> None:
    objects = rendered(
        helm,
        "platform.gateway=infra/public",
        "platform.operatorClass=blue",
        "platform.allowed.registries[0]=registry.example/*",
        "platform.monitoring.labels.release=prometheus",
    )

    platform = config(objects)

    assert (platform.gateway, platform.operator_class) == ("infra/public", "blue")
    assert platform.allowed.registries == ("registry.example/*",)
    assert platform.monitoring.labels == {"release": "prometheus"}


def test_the_longest_release_name_leaves_names_that_the_operator_accepts(helm: Helm) -> None:
    objects = rendered(helm, release="r" * 53)

    assert len(config(objects).instance) <= 40


def test_every_value_acts(helm: Helm) -> None:
    before = rendered(helm)

    silent = [
        path
        for path, value in CHANGES.items()
        if rendered(helm, f"{path}:={json.dumps(value)}") == before
    ]

    assert silent == []


def test_no_value_is_left_out_of_that() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

    assert set(CHANGES) == set(leaves(values))


@pytest.mark.parametrize(
    ("asked", "known", "is_there"),
    [
        ("Auto", True, True),
        ("Auto", False, False),
        ("Always", False, True),
        ("Never", True, False),
    ],
)
def test_prometheus_finds_every_replica_by_a_service_monitor(
    helm: Helm, asked: str, known: bool, is_there: bool
) -> None:
    kinds = ("--api-versions", "monitoring.coreos.com/v1/ServiceMonitor") if known else ()
    sets = (REGISTRY, f"operator.serviceMonitor={asked}", "platform.monitoring.labels.team=sre")
    done = helm(
        *("template", "breakwater", str(CHART), "--kube-version", "1.31.0", *kinds),
        *(part for one in sets for part in _option(one)),
    )
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    monitors = [one for one in objects if one["kind"] == "ServiceMonitor"]
    service = only(objects, "Service")
    pod = only(objects, "Deployment")["spec"]["template"]

    assert len(monitors) == is_there
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert service["spec"]["publishNotReadyAddresses"]
    for monitor in monitors:
        selected = monitor["spec"]["selector"]["matchLabels"]
        assert selected.items() <= service["metadata"]["labels"].items()
        assert monitor["metadata"]["labels"]["team"] == "sre"
        # Else what is told of servers would all be of the operator's namespace.
        assert [one["honorLabels"] for one in monitor["spec"]["endpoints"]] == [True]


def test_with_namespaces_named_the_operator_has_no_right_in_the_whole_cluster(helm: Helm) -> None:
    cluster = only(rendered(helm, "crds.enabled=false"), "ClusterRole")
    objects = rendered(helm, "crds.enabled=false", "watchNamespaces={team-a,team-b}")

    roles = [one for one in objects if one["kind"] == "Role" and one["rules"] == cluster["rules"]]
    assert [role["metadata"]["namespace"] for role in roles] == ["team-a", "team-b"]
    assert not [one for one in objects if one["kind"].startswith("Cluster")]


def test_helm_never_deletes_the_definition(helm: Helm) -> None:
    definition = only(rendered(helm), "CustomResourceDefinition")

    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_a_second_release_leaves_everything_that_all_releases_share(helm: Helm) -> None:
    objects = rendered(helm, "crds.enabled=false")

    assert "CustomResourceDefinition" not in {one["kind"] for one in objects}
    assert len([one for one in objects if one["kind"] == "ClusterRole"]) == 1


def test_the_api_server_takes_every_object(
    helm: Helm, control_plane: RunningCluster, namespace: str
) -> None:
    release = namespace  # other tests may have objects of the usual name
    objects = rendered(helm, namespace=namespace, release=release)
    manifests = "---\n".join(yaml.safe_dump(one) for one in objects)

    options = ("--dry-run=server", "--validate=strict")
    said = control_plane.kubectl("create", "-f", "-", *options, stdin=manifests, check=False)

    # The definition may be there already: other tests share the cluster.
    others = [line for line in said.splitlines() if not line.startswith("customresource")]
    assert len(others) == len(objects) - 1


@pytest.mark.requirement("C3")
def test_the_operators_pod_is_let_into_a_restricted_namespace(
    helm: Helm, control_plane: RunningCluster, namespace: str
) -> None:
    control_plane.kubectl("label", "namespace", namespace, RESTRICTED)
    objects = rendered(helm, "crds.enabled=false", namespace=namespace)
    control_plane.apply(only(objects, "ServiceAccount"), only(objects, "ConfigMap"))
    pod = only(objects, "Deployment")["spec"]["template"]
    pod |= {"apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] |= {"name": "operator", "namespace": namespace}

    said = control_plane.kubectl("create", "-f", "-", "--dry-run=server", stdin=json.dumps(pod))

    assert said.strip() == "pod/operator created (server dry run)"


@pytest.mark.parametrize(
    ("verb", "group", "resource", "allowed"),
    [
        pytest.param("patch", "apps", "deployments", True, id="children"),
        pytest.param("patch", "breakwater.dev", "mcpservers/status", True, id="status"),
        pytest.param("update", "breakwater.dev", "mcpservers/finalizers", True, id="owner"),
        pytest.param("patch", "breakwater.dev", "mcpservers", False, id="spec-is-the-users"),
        pytest.param("create", "", "pods", False, id="no-pods-of-its-own"),
        pytest.param("create", "", "pods/exec", False, id="no-exec"),
        pytest.param("create", "rbac.authorization.k8s.io", "rolebindings", False, id="no-roles"),
    ],
)
def test_the_operator_may_do_its_work_in_the_named_namespaces_only(
    helm: Helm,
    control_plane: RunningCluster,
    namespace: str,
    verb: str,
    group: str,
    resource: str,
    allowed: bool,
) -> None:
    objects = rendered(
        helm, "crds.enabled=false", f"watchNamespaces={{{namespace}}}", namespace=namespace
    )
    roles = {"ServiceAccount", "Role", "RoleBinding"}
    who = f"system:serviceaccount:{namespace}:breakwater-operator"
    grant(control_plane, who, [one for one in objects if one["kind"] in roles])
    name, _, part = resource.partition("/")
    what = {"verb": verb, "group": group, "resource": name, "subresource": part}

    assert may(control_plane, who, what | {"namespace": namespace}) is allowed
    assert may(control_plane, who, what | {"namespace": "default"}) is False
