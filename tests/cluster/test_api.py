"""The API as a real API server sees it: what it accepts, and what it makes of what we render."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from kubernetes import config
from kubernetes.client import CustomObjectsApi
from kubernetes.client.exceptions import ApiException

from breakwater_operator.api.errors import SpecError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.names import MANAGER
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.connection import connection
from breakwater_operator.kube.kinds import OPTIONAL
from breakwater_operator.reconcile import plan
from breakwater_operator.reconcile.world import World
from breakwater_operator.reconcile.write import Writer, Written
from breakwater_operator.render import drift, exclusive
from dev import golden
from tests.support.cluster import eventually
from tests.support.definitions import install_crd
from tests.support.manifests import TAKEN
from tests.support.operator_ground import PatientApi
from tests.support.rig.proof import Proof, source_of_operator
from tests.support.specs import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster import RunningCluster

ROOT = Path(__file__).parents[2]

Object = dict[str, Any]

OBJECTS_AT_ONCE = 500

GENERATED = settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def cluster(control_plane: RunningCluster) -> RunningCluster:
    """A control plane that knows the McpServer.

    Not by `kubectl wait`: it fails where a definition has no conditions yet.
    """
    with PatientApi(control_plane.kubeconfig) as api:
        install_crd(api, ROOT)
    return control_plane


@pytest.fixture(scope="module")
def api(cluster: RunningCluster) -> Iterator[Any]:
    client: Any = config.new_client_from_config(str(cluster.kubeconfig))  # type: ignore[no-untyped-call]  # theirs
    yield CustomObjectsApi(client)
    client.rest_client.pool_manager.clear()


def created(api: Any, server: Object) -> Object:
    """Ask the API server whether it takes an object; return what it would store.

    Raises:
        ApiException: It does not.
    """
    namespace = server["metadata"]["namespace"]
    stored: Object = api.create_namespaced_custom_object(
        "breakwater.dev", "v1alpha1", namespace, "mcpservers", server,
        dry_run="All", field_validation="Strict",
    )  # fmt: skip
    return stored


@GENERATED
@given(server=servers())
def test_the_models_accept_what_the_api_server_accepts_and_nothing_else(
    api: Any, server: Object
) -> None:
    agree(api, server)


@pytest.mark.prove
def test_ten_thousand_objects_are_judged_alike(api: Any, share: float) -> None:
    total = max(OBJECTS_AT_ONCE, int(10_000 * share))
    proof = Proof("objects", total, OBJECTS_AT_ONCE, source=source_of_operator(), whole=10_000)

    for _ in proof.parts():
        proof.keep(dict(judged(api)))

    counts: Counter[str] = sum(map(Counter, proof.done), Counter())
    proof.write(
        "What the API server accepts, and what the models do",
        "McpServers that hypothesis makes up, half of them with something wrong in them, are sent "
        "to a real API server (dry run, strict) and read by the operator's models: both accept "
        "them, or both refuse them.",
        {"objects": counts.total(), **dict(sorted(counts.items()))},
    )


def judged(api: Any) -> Counter[str]:
    """Hold the models to what the API server says of some objects; count what that was."""
    count: Counter[str] = Counter()

    # Others each time.
    @settings(GENERATED, max_examples=OBJECTS_AT_ONCE, database=None)
    @given(server=servers())
    def judge(server: Object) -> None:
        count[agree(api, server)] += 1

    judge()
    return count


def agree(api: Any, server: Object) -> str:
    """Hold the models to what the API server says of one object; return what that was."""
    stored, refusal = answered(api, server)

    if stored is not None:
        McpServer.parse(stored)
    else:
        with pytest.raises(SpecError):
            McpServer.parse(server | {"metadata": server["metadata"] | {"uid": "u"}})
    what = "accepted" if stored is not None else f"refused with {refusal}"
    event(what)
    assert refusal in {None, 400, 422}
    return what


def answered(api: Any, server: Object) -> tuple[Object | None, int | None]:
    """What the API server would store, or the status with which it refuses."""
    try:
        return created(api, server), None
    except ApiException as error:
        return None, error.status


MINIMAL: Object = yaml.safe_load((ROOT / "tests/golden/minimal/mcpserver.yaml").read_text())


def changed(**parts: Any) -> Object:
    """The smallest McpServer, with parts of its spec replaced."""
    server = copy.deepcopy(MINIMAL)
    server["metadata"] = {"name": parts.pop("name", "web"), "namespace": "default"}
    server["spec"] |= parts
    return server


PYTHON = {"server": "a:b"}


def backend(**parts: Any) -> list[Object]:
    return [{"python": PYTHON | parts}]


def volumes(*found: Object) -> Object:
    return {"volumes": list(found)}


@pytest.mark.parametrize(
    ("server", "says"),
    [
        pytest.param(changed(name="x" * 41), "at most 40 characters", id="name-too-long"),
        pytest.param(changed(name="1x"), "begin with a letter", id="name-begins-with-digit"),
        pytest.param(changed(name="a.b"), "choose another name", id="name-with-dot"),
        pytest.param(
            changed(backends=[{"name": n, "python": PYTHON} for n in "ab"]),
            "put the others into McpServers of their own",
            id="two-backends",
        ),
        pytest.param(
            changed(backends=[{"ruby": {"server": "a:b"}}]),
            'unknown field "spec.backends[0].ruby"',
            id="unknown-backend",
        ),
        pytest.param(changed(replica=3), 'unknown field "spec.replica"', id="misspelt"),
        pytest.param(changed(replicas=-1), "greater than or equal to 0", id="replicas"),
        pytest.param(
            changed(pod={"labels": {"a team": "crm"}}), "as in example.com/x", id="label-key"
        ),
        pytest.param(
            changed(pod={"annotations": {"x" * 64: ""}}), "as in example.com/x", id="annotation-key"
        ),
        pytest.param(
            changed(pod={"placement": {"nodeSelector": {"A.example/disk": "ssd"}}}),
            "as in example.com/x",
            id="node-label-key",
        ),
        pytest.param(
            changed(access={"clients": [{"podLabels": {"a/b/c": "x"}}]}),
            "as in example.com/x",
            id="selector-key",
        ),
        pytest.param(
            changed(backends=backend(volumeMounts=[{"name": "data", "mountPath": "/data"}])),
            "add the volume or correct the name",
            id="unknown-volume",
        ),
        pytest.param(
            changed(
                backends=backend(volumeMounts=[{"name": "d", "mountPath": "/etc/breakwater/x"}]),
                pod=volumes({"name": "d", "emptyDir": {}}),
            ),
            "mount the volume at a folder of its own, such as /data",
            id="mount-hides-settings",
        ),
        pytest.param(
            changed(
                backends=backend(volumeMounts=[{"name": "d", "mountPath": "/a/../etc"}]),
                pod=volumes({"name": "d", "emptyDir": {}}),
            ),
            "write it out",
            id="mount-climbs",
        ),
        pytest.param(
            changed(pod=volumes({"name": "d", "emptyDir": {}, "configMap": {"name": "x"}})),
            "write exactly one of persistentVolumeClaim, configMap and emptyDir",
            id="two-sources",
        ),
        pytest.param(
            changed(pod=volumes({"name": "d", "hostPath": {"path": "/"}})),
            'unknown field "spec.pod.volumes[0].hostPath"',
            id="host-path",
        ),
        pytest.param(
            changed(pod=volumes({"name": "breakwater-keys", "emptyDir": {}})),
            "choose another one",
            id="our-volume",
        ),
        pytest.param(
            changed(backends=backend(env=[{"name": "A", "value": "", "valueFrom": {}}])),
            "write value or valueFrom, not both",
            id="two-values",
        ),
        pytest.param(
            changed(pod={"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}}),
            "lower the request or raise the limit",
            id="request-over-limit",
        ),
        pytest.param(
            changed(backends=[{"python": {"server": "main.py"}}]),
            "write package.module:attribute, as in weather.main:mcp",
            id="server",
        ),
        pytest.param(
            changed(runtime={"image": "https://registry.example/a:1"}),
            "without a scheme, as in registry.example/team/weather:1.0",
            id="image",
        ),
        pytest.param(
            changed(backends=backend(env=[{"name": "1A"}])), "as in LOG_LEVEL", id="env-name"
        ),
        pytest.param(
            changed(backends=backend(env=[{"name": "A", "value": "a\0b"}])),
            r"should match '^[^\x00]*$'",
            id="nul",
        ),
        pytest.param(
            changed(
                backends=backend(volumeMounts=[{"name": "d", "mountPath": "data/"}]),
                pod=volumes({"name": "d", "emptyDir": {}}),
            ),
            "write an absolute path",
            id="relative-mount",
        ),
        pytest.param(
            changed(pod=volumes({"name": "d", "persistentVolumeClaim": {"claimName": "My_data"}})),
            "write the object's name: lower-case letters",
            id="claim-name",
        ),
        pytest.param(
            changed(pod={"resources": {"requests": {"cpu": "1x"}, "limits": {"cpu": 1}}}),
            "write one as in 500m or 2",
            id="not-an-amount",
        ),
        pytest.param(
            changed(access={"addresses": {"allow": ["10.0.0.1/8"]}}),
            "write a network whose address has no bits beyond its prefix",
            id="network",
        ),
        pytest.param(
            changed(access={"permissive": {"until": "2027-02-29"}}),
            "write a date as in 2027-01-31",
            id="no-such-day",
        ),
        pytest.param(
            changed(access={"permissive": {"until": "2027-01-31"}, "insecureAnonymous": True}),
            "write permissive or insecureAnonymous, not both",
            id="two-ways-in",
        ),
        pytest.param(
            changed(access={"policies": [{"name": "a", "effect": "Deny", "principals": ["*"]}]}),
            'write tools: ["*"] for all tools',
            id="policy-about-nothing",
        ),
        pytest.param(
            changed(access={"jwt": {"issuer": "http://id.example", "audiences": ["a"]}}),
            "write an https URL",
            id="issuer",
        ),
        pytest.param(
            changed(limits={"timeouts": {"body": "15"}}),
            "write a duration with its unit",
            id="duration",
        ),
        pytest.param(
            changed(limits={"requestsPerMinute": {"tools": {"x" * 129: 1}}}),
            "write keys of 1 to 128 characters",
            id="tool-name",
        ),
        pytest.param(
            changed(limits={"requestsPerMinute": {"principal": 0}}),
            "greater than or equal to 1",
            id="impossible-rate",
        ),
        pytest.param(
            changed(access={"keys": {"secretName": "web-keys"}}),
            "leave it out to have a key generated",
            id="our-secret",
        ),
    ],
)
def test_a_wrong_manifest_is_refused_with_a_message_that_says_what_to_write(
    api: Any, server: Object, says: str
) -> None:
    with pytest.raises(ApiException) as refused:
        created(api, server)

    assert says in json.loads(str(refused.value.body))["message"]


@pytest.mark.parametrize("content", TAKEN.values(), ids=TAKEN)
def test_kubectl_takes_what_the_command_line_calls_good(
    cluster: RunningCluster, namespace: str, content: str
) -> None:
    applied = ("apply", "--dry-run=server", "-n", namespace, "-o", "name", "-f", "-")

    said = cluster.kubectl(*applied, stdin=content)

    assert "mcpserver.breakwater.dev/weather" in said


def test_the_definition_is_read_well_by_kubectl(cluster: RunningCluster, namespace: str) -> None:
    server = changed()
    server["metadata"]["namespace"] = namespace
    cluster.apply(server)

    columns = cluster.kubectl("get", "mcpservers.breakwater.dev", "-n", namespace)
    explained = cluster.kubectl("explain", "mcpserver.spec.backends")
    by_category = cluster.kubectl("get", "breakwater", "-n", namespace, "-o", "name")

    head = columns.splitlines()[0].split()
    assert head == ["NAME", "READY", "REASON", "URL", "REVISION", "REPLICAS", "AGE"]
    assert "An MCPServer object of the MCP Python SDK" in " ".join(explained.split())
    assert by_category.split() == ["mcpserver.breakwater.dev/web"]


def test_it_can_be_scaled(cluster: RunningCluster, namespace: str) -> None:
    server = changed()
    server["metadata"]["namespace"] = namespace
    cluster.apply(server)

    before = cluster.get("bmcp", "web", "-n", namespace)["spec"]["replicas"]
    cluster.kubectl("scale", "bmcp/web", "--replicas=5", "-n", namespace)

    after = cluster.get("bmcp", "web", "-n", namespace)["spec"]["replicas"]
    assert (before, after) == (2, 5)


YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
DOCUMENTED = [
    pytest.param(found, id=f"{page.relative_to(ROOT)}-{found['metadata']['name']}-{turn}")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for turn, block in enumerate(YAML_BLOCK.findall(page.read_text()))
    for found in yaml.safe_load_all(block)
    if isinstance(found, dict) and found.get("kind") == "McpServer"
]


@pytest.mark.parametrize("server", DOCUMENTED)
def test_what_readers_are_shown_is_accepted(api: Any, server: Object) -> None:
    placed = server | {"metadata": {"namespace": "default"} | server["metadata"]}

    McpServer.parse(created(api, placed))


CASES = {case.path.rpartition("/")[2]: case for case in golden.cases(ROOT)}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_children_that_were_applied_are_clean(
    cluster: RunningCluster, namespace: str, case: golden.Case
) -> None:
    for desired in placed(case, namespace):
        live = applied(cluster, desired)

        assert not drift.differs(desired, live)
        assert not drift.must_replace(desired, live)
        assert not exclusive.foreign(desired, live)


CONTAINER = "/spec/template/spec/containers/0"
POD = "/spec/template/spec"


@pytest.mark.parametrize(
    ("kind", "name", "tampering"),
    [
        pytest.param(*each[:3], id=each[3])
        for each in [
            ("Deployment", "crm-a", [("add", f"{CONTAINER}/command", ["sh"])], "command"),
            ("Deployment", "crm-a", [("add", f"{CONTAINER}/args/-", "--x")], "args"),
            ("Deployment", "crm-a", [("add", f"{CONTAINER}/env/-", {"name": "X"})], "env"),
            (
                "Deployment",
                "crm-a",
                [("add", f"{CONTAINER}/envFrom", [{"secretRef": {"name": "x"}}])],
                "env-from",
            ),
            (
                "Deployment",
                "crm-a",
                [
                    ("add", f"{POD}/volumes/-", {"name": "x", "emptyDir": {}}),
                    ("add", f"{CONTAINER}/volumeMounts/-", {"name": "x", "mountPath": "/x"}),
                ],
                "mount",
            ),
            (
                "Deployment",
                "crm-a",
                [("add", f"{CONTAINER}/ports/-", {"containerPort": 1})],
                "container-port",
            ),
            (
                "Deployment",
                "crm-a",
                [
                    ("remove", f"{CONTAINER}/readinessProbe/httpGet", None),
                    ("add", f"{CONTAINER}/readinessProbe/exec", {"command": ["true"]}),
                ],
                "other-probe",
            ),
            (
                "Deployment",
                "crm-a",
                [("add", f"{CONTAINER}/lifecycle", {"preStop": {"sleep": {"seconds": 1}}})],
                "lifecycle",
            ),
            (
                "Deployment",
                "crm-a",
                [("add", f"{CONTAINER}/securityContext/capabilities/add", ["SYS_ADMIN"])],
                "capability",
            ),
            ("Deployment", "crm-a", [("add", f"{POD}/hostNetwork", True)], "host-network"),
            (
                "Deployment",
                "crm-a",
                [("add", f"{POD}/securityContext/supplementalGroups", [0])],
                "group",
            ),
            ("Deployment", "crm-a", [("add", "/spec/paused", True)], "paused"),
            (
                "Deployment",
                "crm-a",
                [("replace", "/spec/strategy", {"type": "Recreate"})],
                "strategy",
            ),
            (
                "Deployment",
                "crm-a",
                [
                    ("remove", f"{POD}/volumes/0/projected", None),
                    ("add", f"{POD}/volumes/0/emptyDir", {}),
                ],
                "other-volume",
            ),
            ("Service", "crm", [("replace", "/spec/type", "NodePort")], "node-port"),
            (
                "Service",
                "crm",
                [("add", "/spec/ports/-", {"name": "x", "port": 1})],
                "service-port",
            ),
            ("Service", "crm", [("add", "/spec/selector/x", "y")], "selector"),
            ("Service", "crm", [("add", "/spec/externalIPs", ["198.18.0.9"])], "external-ip"),
            (
                "Service",
                "crm",
                [("replace", "/spec/sessionAffinity", "ClientIP")],
                "affinity",
            ),
            (
                "NetworkPolicy",
                "crm",
                [("add", "/spec/ingress/0", {}), ("add", "/spec/egress/0", {})],
                "open-to-all",
            ),
            (
                "NetworkPolicy",
                "crm",
                [("add", "/spec/podSelector/matchLabels/x", "y")],
                "other-pods",
            ),
            (
                "PodDisruptionBudget",
                "crm",
                [("add", "/spec/selector/matchLabels/x", "y")],
                "budget-of-others",
            ),
            (
                "HorizontalPodAutoscaler",
                "crm-a",
                [("replace", "/spec/maxReplicas", 99), ("remove", "/spec/metrics/1", None)],
                "autoscaler",
            ),
            ("Service", "crm-metrics", [("add", "/spec/selector/x", "y")], "metrics-selector"),
            ("Secret", "crm-live", [("add", "/data/intruder", "eA==")], "data-key"),
            ("ConfigMap", "crm-live", [("add", "/data/x", "y")], "config-key"),
            ("ConfigMap", "crm-live", [("add", "/binaryData", {"x": "eA=="})], "binary-data"),
        ]
    ],
)
def test_what_somebody_adds_is_found_and_taken_away(
    cluster: RunningCluster,
    namespace: str,
    kind: str,
    name: str,
    tampering: list[tuple[str, str, Any]],
) -> None:
    desired = next(
        child
        for child in placed(CASES["everything"], namespace)
        if (child["kind"], child["metadata"]["name"]) == (kind, name)
    )
    applied(cluster, desired)
    patch = [{"op": op, "path": path, "value": value} for op, path, value in tampering]
    live = patched(cluster, desired, patch, "somebody")
    assert drift.differs(desired, live) or exclusive.foreign(desired, live)

    eventually(lambda: repaired(cluster, desired), f"{kind} {name} is as it should be")


def test_what_belongs_to_others_stays(cluster: RunningCluster, namespace: str) -> None:
    children = placed(CASES["otherwise"], namespace)
    desired = next(child for child in children if child["kind"] == "Deployment")
    applied(cluster, desired)
    sidecar: Object = {"name": "proxy", "image": "registry.example/proxy:1"}
    patch: list[Object] = [
        {"op": "add", "path": f"{POD}/containers/0", "value": sidecar},
        {"op": "add", "path": f"{POD}/initContainers", "value": [sidecar | {"name": "init"}]},
        {"op": "add", "path": f"{POD}/volumes/0", "value": {"name": "x", "emptyDir": {}}},
        {"op": "add", "path": f"{POD}/tolerations", "value": [{"operator": "Exists"}]},
        {"op": "add", "path": "/spec/template/metadata/annotations/x", "value": "y"},
        {"op": "add", "path": "/metadata/labels/x", "value": "y"},
    ]

    live = patched(cluster, desired, patch, "somebody")

    assert not drift.differs(desired, live)
    assert not exclusive.foreign(desired, live)


@settings(GENERATED, max_examples=40)
@given(server=servers(st.just(0)))
def test_children_of_any_server_are_accepted_and_clean(
    cluster: RunningCluster, api: Any, server: Object
) -> None:
    stored, _ = answered(api, server)
    assume(stored is not None)
    assert stored is not None
    children = placed(golden.Case("", (stored,)), "default")

    answers = json.loads(
        cluster.kubectl(
            *("apply", "--server-side", "--dry-run=server", "--field-manager", MANAGER),
            *("--force-conflicts", "-o", "json", "-f", "-"),
            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": children}),
        )
    )["items"]

    for desired, live in zip(children, answers, strict=True):
        assert not drift.differs(desired, live)
        assert not exclusive.foreign(desired, live)


def placed(case: golden.Case, namespace: str) -> list[Object]:
    """The children of a case in a namespace of the cluster, without an owner."""
    unknown = {kind.name for kind in OPTIONAL}
    children = [one for one in copy.deepcopy(case.children()) if one["kind"] not in unknown]
    for child in children:
        child["metadata"]["namespace"] = namespace
        child["metadata"].pop("ownerReferences", None)
    return children


def applied(cluster: RunningCluster, manifest: Object) -> Object:
    """Apply a child as the operator does."""
    answer = cluster.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--field-manager", MANAGER),
        *("-o", "json", "--show-managed-fields", "-f", "-"),
        stdin=json.dumps(manifest),
    )
    live: Object = json.loads(answer)
    return live


def repaired(cluster: RunningCluster, desired: Object) -> bool:
    """Let the operator's writer repair an object, and say whether it is as it should be.

    Controllers write to it at the same time, so that a patch may come too late.
    """

    async def repair() -> Written:
        api = KubeApi(await connection(cluster.kubeconfig), lambda *_: None)
        try:
            kind, metadata = plan.kind_of(desired), desired["metadata"]
            world = World(api, (), lambda _: None, lambda _: None)
            live = await api.get(kind, metadata["namespace"], metadata["name"])
            owners = [owner["uid"] for owner in metadata.get("ownerReferences") or ({"uid": ""},)]
            child = plan.Child(kind, desired, live)
            return await Writer(api, world).write(owners[0], [child], nobody_asks)
        finally:
            await api.close()

    written = asyncio.run(repair())
    assert written.failure is None or written.failure.conflict, written.failure
    return written.is_clean


async def nobody_asks() -> None:
    """Confirm that the McpServer is there: here only its children are."""


def patched(
    cluster: RunningCluster,
    manifest: Object,
    patch: list[Object],
    manager: str,
) -> Object:
    """Send a JSON patch to a child."""
    metadata = manifest["metadata"]
    answer = cluster.kubectl(
        *("patch", manifest["kind"], metadata["name"], "-n", metadata["namespace"]),
        *("--type=json", "--field-manager", manager, "-o", "json", "-p", json.dumps(patch)),
    )
    live: Object = json.loads(answer)
    return live
