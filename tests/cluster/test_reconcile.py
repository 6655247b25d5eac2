"""What the operator promises about an McpServer and its children, on a real API server."""

from __future__ import annotations

import base64
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import (
    CLAIM,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    MCP_SERVER,
    NETWORK_POLICY,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Kind,
)
from tests.support.cluster import KINDS_SECONDS, RunningCluster, eventually
from tests.support.faultproxy import Rule, Seen
from tests.support.operator_ground import KINDS, Ground, own_ground, said

if TYPE_CHECKING:
    from collections.abc import Iterator

MANAGED = "app.kubernetes.io/managed-by"
CONTAINER = "/spec/template/spec/containers/0"


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """An operator that all tests of this module share, each with servers of its own."""
    with own_ground(control_plane, tmp_path_factory, "op") as made:
        yield made


@pytest.fixture(scope="module")
def weather(op: Ground) -> Ground:
    """The same operator, with a server `weather` that is ready."""
    op.ready("weather")
    return op


def revision_of(op: Ground, name: str) -> str:
    return str(op.find(MCP_SERVER, name)["status"]["revision"])


def test_a_short_manifest_becomes_all_its_children_and_is_ready(weather: Ground) -> None:
    revision = revision_of(weather, "weather")

    assert set(weather.children("weather")) == {
        ("ServiceAccount", "weather"),
        ("Secret", "weather-keys"),
        ("Secret", "weather-live"),
        ("Secret", "weather-internal"),
        ("ConfigMap", "weather-live"),
        ("ControllerRevision", f"weather-{revision}"),
        ("NetworkPolicy", "weather"),
        ("PodDisruptionBudget", "weather"),
        ("Deployment", "weather-a"),
        ("Service", "weather"),
        ("Service", "weather-metrics"),
    }
    status = weather.find(MCP_SERVER, "weather")["status"]
    assert {one["type"]: one["status"] for one in status["conditions"]} == {
        "Accepted": "True",
        "Available": "True",
        "Verified": "True",
        "Progressing": "False",
        "Degraded": "False",
        "Ready": "True",
    }
    assert (status["replicas"], status["readyReplicas"]) == (2, 2)
    assert status["keys"] == {"secretName": "weather-keys"}
    assert status["server"] == {
        "name": "fake",
        "version": "1",
        "protocolVersions": ["2026-07-28"],
        "tools": 2,
    }


def test_making_a_server_costs_one_write_per_child_and_few_of_its_status(op: Ground) -> None:
    op.quiet()
    before = len(op.proxy.seen)

    op.ready("thrift")

    op.quiet()
    counted = Counter(seen.what for seen in op.writes("thrift", before))
    children = sum(counted[f"PATCH {kind.plural}"] for kind in KINDS.values())
    assert children == len(op.children("thrift")) == 11
    assert counted["PATCH mcpservers/status"] <= 3
    assert set(counted) <= {"PATCH mcpservers/status"} | {
        f"PATCH {kind.plural}" for kind in KINDS.values()
    }


def test_a_pass_over_an_unchanged_server_writes_nothing(weather: Ground) -> None:
    weather.quiet()
    before = len(weather.proxy.seen)

    # An annotation that is nobody's business wakes a pass and asks for nothing.
    weather.patch(MCP_SERVER, "weather", {"metadata": {"annotations": {"wake": "up"}}})

    weather.quiet()
    assert weather.proxy.asked(before) == []


DELETIONS = [
    pytest.param(SERVICE_ACCOUNT, "{}", id="ServiceAccount"),
    pytest.param(SECRET, "{}-live", id="Secret-live"),
    pytest.param(CONFIG_MAP, "{}-live", id="ConfigMap-live"),
    pytest.param(CONTROLLER_REVISION, "{}-{revision}", id="ControllerRevision"),
    pytest.param(DEPLOYMENT, "{}-a", id="Deployment"),
    pytest.param(SERVICE, "{}", id="Service"),
    pytest.param(SERVICE, "{}-metrics", id="Service-metrics"),
    pytest.param(NETWORK_POLICY, "{}", id="NetworkPolicy"),
    pytest.param(DISRUPTION_BUDGET, "{}", id="PodDisruptionBudget"),
]


@pytest.mark.parametrize(("kind", "pattern"), DELETIONS)
def test_a_deleted_child_comes_back_as_it_was(weather: Ground, kind: Kind, pattern: str) -> None:
    name = pattern.format("weather", revision=revision_of(weather, "weather"))
    before = weather.find(kind, name)

    weather.delete(kind, name)

    def is_back() -> bool:
        live = weather.get(kind, name)
        return live is not None and live["metadata"]["uid"] != before["metadata"]["uid"]

    # A Service waits until the garbage collector has taken the endpoints of the one before it.
    seconds = KINDS_SECONDS if kind == SERVICE else 5
    eventually(is_back, f"{kind.name} {name} is back", seconds=seconds)
    after = said(weather.find(kind, name))
    for live in (before, after):
        live.get("spec", {}).pop("clusterIP", None)
        live.get("spec", {}).pop("clusterIPs", None)
    assert after == said(before)
    weather.wait("weather", "Ready")


EDITS: list[Any] = [
    pytest.param(SERVICE_ACCOUNT, "{}", {"automountServiceAccountToken": True}, id="sa-token"),
    pytest.param(SECRET, "{}-live", {"data": {"default": "eA=="}}, id="live-key-changed"),
    pytest.param(SECRET, "{}-live", {"data": {"default": None}}, id="live-key-removed"),
    pytest.param(SECRET, "{}-live", {"data": {".hash-key": "eA=="}}, id="hash-key-changed"),
    pytest.param(SECRET, "{}-live", {"data": {"intruder": "eA=="}}, id="live-key-added"),
    pytest.param(SECRET, "{}-keys", {"data": {"default": "eA=="}}, id="generated-key-changed"),
    pytest.param(SECRET, "{}-keys", {"data": {"default": None}}, id="generated-key-removed"),
    pytest.param(SECRET, "{}-keys", {"data": {"intruder": "eA=="}}, id="generated-key-added"),
    pytest.param(CONFIG_MAP, "{}-live", {"data": {"v1.json": "{}"}}, id="settings-changed"),
    pytest.param(CONFIG_MAP, "{}-live", {"data": {"v9.json": "{}"}}, id="settings-added"),
    pytest.param(CONFIG_MAP, "{}-live", {"metadata": {"ownerReferences": []}}, id="owner-removed"),
    *(
        pytest.param(kind, name, {"metadata": {"labels": {MANAGED: None}}}, id=f"label-of-{what}")
        for kind, name, what in (
            (CONFIG_MAP, "{}-live", "settings-removed"),
            (SECRET, "{}-keys", "keys-removed"),
            (SECRET, "{}-live", "copies-removed"),
            (SECRET, "{}-internal", "ring-removed"),
        )
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        {"metadata": {"labels": {"breakwater.dev/server": "other"}}},
        id="label-changed",
    ),
    pytest.param(DEPLOYMENT, "{}-a", {"spec": {"replicas": 0}}, id="replicas"),
    pytest.param(DEPLOYMENT, "{}-a", {"spec": {"paused": True}}, id="paused"),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}},
        id="strategy",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        {"spec": {"template": {"metadata": {"annotations": {"breakwater.dev/settings": "{}"}}}}},
        id="settings-annotation",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        {"spec": {"template": {"spec": {"hostNetwork": True}}}},
        id="host-network",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        {"spec": {"template": {"spec": {"automountServiceAccountToken": True}}}},
        id="pod-token",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [{"op": "replace", "path": f"{CONTAINER}/image", "value": "evil:1"}],
        id="image",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [{"op": "add", "path": f"{CONTAINER}/command", "value": ["sh"]}],
        id="command-added",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [{"op": "add", "path": f"{CONTAINER}/args/-", "value": "--debug"}],
        id="argument-added",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [{"op": "add", "path": f"{CONTAINER}/env", "value": [{"name": "A", "value": "b"}]}],
        id="variable-added",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [{"op": "add", "path": f"{CONTAINER}/envFrom", "value": [{"secretRef": {"name": "x"}}]}],
        id="variables-from-secret-added",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [
            {
                "op": "add",
                "path": f"{CONTAINER}/volumeMounts/-",
                "value": {"name": "breakwater", "mountPath": "/intruder"},
            }
        ],
        id="mount-added",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [{"op": "add", "path": f"{CONTAINER}/ports/-", "value": {"containerPort": 1, "name": "x"}}],
        id="container-port-added",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [
            {
                "op": "add",
                "path": f"{CONTAINER}/lifecycle",
                "value": {"preStop": {"sleep": {"seconds": 9}}},
            }
        ],
        id="hook-added",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [{"op": "remove", "path": f"{CONTAINER}/readinessProbe"}],
        id="probe-removed",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [
            {
                "op": "replace",
                "path": f"{CONTAINER}/livenessProbe",
                "value": {"exec": {"command": ["true"]}},
            }
        ],
        id="probe-of-another-kind",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [{"op": "replace", "path": f"{CONTAINER}/securityContext", "value": {"privileged": True}}],
        id="privileged",
    ),
    pytest.param(
        DEPLOYMENT,
        "{}-a",
        [{"op": "replace", "path": f"{CONTAINER}/resources", "value": {}}],
        id="resources-removed",
    ),
    pytest.param(
        SERVICE,
        "{}",
        [{"op": "add", "path": "/spec/ports/-", "value": {"name": "x", "port": 1}}],
        id="port-added",
    ),
    pytest.param(SERVICE, "{}", {"spec": {"selector": {"a": "b"}}}, id="selector-added"),
    pytest.param(SERVICE, "{}", {"spec": {"type": "NodePort"}}, id="service-type"),
    pytest.param(SERVICE, "{}", {"spec": {"externalIPs": ["203.0.113.9"]}}, id="external-address"),
    pytest.param(
        SERVICE,
        "{}",
        [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": "metrics"}],
        id="target-port",
    ),
]


@pytest.mark.parametrize(("kind", "pattern", "change"), EDITS)
def test_what_somebody_edits_is_put_back(
    weather: Ground, kind: Kind, pattern: str, change: Any
) -> None:
    name = pattern.format("weather")
    before = weather.find(kind, name)

    edited = weather.patch(kind, name, change)

    assert said(edited) != said(before), "the edit changes nothing"
    eventually(lambda: said(weather.find(kind, name)) == said(before), "it is put back", seconds=5)
    assert weather.find(kind, name)["metadata"]["uid"] == before["metadata"]["uid"]


def test_what_others_may_add_stays(weather: Ground) -> None:
    sidecar = {"name": "sidecar", "image": "sidecar:1"}
    cache = {"name": "cache", "emptyDir": {}}
    first = [sidecar | {"name": "init"}]
    before = weather.find(DEPLOYMENT, "weather-a")

    weather.patch(
        DEPLOYMENT,
        "weather-a",
        [
            {"op": "add", "path": "/metadata/labels/theirs", "value": "yes"},
            {"op": "add", "path": "/metadata/annotations", "value": {"theirs": "yes"}},
            {"op": "add", "path": "/spec/template/metadata/labels/theirs", "value": "yes"},
            {"op": "add", "path": "/spec/template/spec/containers/-", "value": sidecar},
            {"op": "add", "path": "/spec/template/spec/volumes/-", "value": cache},
            {
                "op": "add",
                "path": "/spec/template/spec/initContainers",
                "value": first,
            },
        ],
    )
    # Something that is ours is edited after it, so that a pass looks at all of it.
    weather.patch(DEPLOYMENT, "weather-a", {"spec": {"replicas": 5}})

    def replicas() -> bool:
        return bool(weather.find(DEPLOYMENT, "weather-a")["spec"]["replicas"] == 2)

    eventually(replicas, "our field is put back", seconds=5)
    weather.quiet()
    live = weather.find(DEPLOYMENT, "weather-a")
    template = live["spec"]["template"]
    assert live["metadata"]["labels"]["theirs"] == "yes"
    assert live["metadata"]["annotations"]["theirs"] == "yes"
    assert template["metadata"]["labels"]["theirs"] == "yes"
    assert [one["name"] for one in template["spec"]["containers"]] == ["runtime", "sidecar"]
    assert [one["name"] for one in template["spec"]["initContainers"]] == ["init"]
    assert "cache" in [one["name"] for one in template["spec"]["volumes"]]

    weather.delete(DEPLOYMENT, "weather-a")

    def is_new() -> bool:
        live = weather.get(DEPLOYMENT, "weather-a")
        return live is not None and live["metadata"]["uid"] != before["metadata"]["uid"]

    eventually(is_new, "a Deployment without additions", seconds=5)
    weather.wait("weather", "Ready")


@pytest.mark.parametrize(
    ("name", "fails"),
    [pytest.param("rekeyed", 0, id="at-once"), pytest.param("rekeyed-late", 1, id="late")],
)
def test_a_deleted_generated_key_is_replaced_and_named(op: Ground, name: str, fails: int) -> None:
    op.ready(name)
    old = op.find(SECRET, f"{name}-keys")["data"]["default"]
    late = Rule(lambda seen: seen.is_write and seen.name == f"{name}-live", 409, times=fails)
    op.proxy.rules.append(late)

    op.delete(SECRET, f"{name}-keys")

    def new() -> str:
        return str((op.get(SECRET, f"{name}-keys") or {}).get("data", {}).get("default", ""))

    eventually(lambda: new() not in {"", old}, "a new key", seconds=5)
    eventually(
        lambda: op.find(SECRET, f"{name}-live")["data"].get("default") == new(), "it is copied"
    )
    eventually(lambda: "KeyChanged" in events(op, name), "an event says so", seconds=5)
    op.quiet()
    assert events(op, name).count("KeyChanged") == 1
    assert late.hit == fails


def events(op: Ground, name: str) -> list[str]:
    found = op.api.get(f"/apis/events.k8s.io/v1/namespaces/{op.namespace}/events")["items"]
    return [one["reason"] for one in found if one["regarding"]["name"] == name]


def test_a_child_without_an_owner_is_adopted(op: Ground) -> None:
    op.ready("orphans")
    before = op.find(DEPLOYMENT, "orphans-a")
    op.delete(MCP_SERVER, "orphans", "Orphan")
    eventually(lambda: op.server("orphans") is None, "the server is gone", seconds=KINDS_SECONDS)
    eventually(
        lambda: "ownerReferences" not in op.find(DEPLOYMENT, "orphans-a")["metadata"],
        "its children have no owner",
    )

    server = op.ready("orphans")

    after = op.find(DEPLOYMENT, "orphans-a")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    owners = after["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == [server["metadata"]["uid"]]


def test_an_object_of_others_under_our_name_is_left_alone_and_named(op: Ground) -> None:
    op.create(SERVICE, "busy", spec={"ports": [{"port": 1}], "selector": {"theirs": "yes"}})
    before = op.find(SERVICE, "busy")

    op.apply("busy")

    found = op.wait("busy", "Degraded", "True", "NameTaken")
    assert f"Service {op.namespace}/busy" in found["message"]
    assert op.find(SERVICE, "busy") == before


def test_a_missing_key_secret_is_named_and_taken_once_it_appears(op: Ground) -> None:
    op.apply("keyless", access={"keys": {"secretName": "crm-keys"}})
    found = op.wait("keyless", "Progressing", "True", "KeySecretMissing")
    assert f"Secret {op.namespace}/crm-keys does not exist" in found["message"]
    op.quiet()

    op.create(SECRET, "crm-keys", stringData={"crm": "secret-key"})

    op.wait("keyless", "Ready")
    assert (
        op.find(SECRET, "keyless-live")["data"]["crm"] == base64.b64encode(b"secret-key").decode()
    )
    assert op.get(SECRET, "keyless-keys") is None


def test_a_changed_key_reaches_the_copy_without_new_pods(op: Ground) -> None:
    op.create(SECRET, "turn-keys", stringData={"crm": "one"})
    op.ready("turned", access={"keys": {"secretName": "turn-keys"}})
    before = op.find(DEPLOYMENT, "turned-a")["metadata"]["generation"]

    op.patch(SECRET, "turn-keys", {"stringData": {"crm": "two"}})

    two = base64.b64encode(b"two").decode()
    eventually(lambda: op.find(SECRET, "turned-live")["data"].get("crm") == two, "it is copied")
    op.wait("turned", "Progressing", "False")
    assert op.find(DEPLOYMENT, "turned-a")["metadata"]["generation"] == before


def test_a_missing_claim_is_named_and_mounted_once_it_appears(op: Ground) -> None:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "late"}}]
    op.apply("claiming", replicas=1, pod={"volumes": volumes})
    found = op.wait("claiming", "Progressing", "True", "ClaimMissing")
    assert f"PersistentVolumeClaim {op.namespace}/late" in found["message"]

    op.create(
        CLAIM,
        "late",
        spec={
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Mi"}},
        },
    )

    def waits_no_more() -> bool:
        return op.condition("claiming", "Progressing").get("reason") != "ClaimMissing"

    eventually(waits_no_more, "the claim is seen")
    assert op.find(DEPLOYMENT, "claiming-a")["spec"]["strategy"]["type"] == "Recreate"

    op.apply("claiming", replicas=2, pod={"volumes": volumes})

    found = op.wait("claiming", "Accepted", "False", "SpecInvalid")
    assert "write replicas: 1" in found["message"]
    assert op.find(DEPLOYMENT, "claiming-a")["spec"]["replicas"] == 1

    # What runs is kept true meanwhile: keys are withdrawn, and what is deleted comes back.
    op.delete(SERVICE, "claiming")
    eventually(
        lambda: op.get(SERVICE, "claiming") is not None,
        "the Service is there again",
        seconds=KINDS_SECONDS,
    )


def test_a_new_image_is_a_new_revision_and_the_old_one_goes_when_no_pod_needs_it(
    op: Ground,
) -> None:
    op.ready("rolled", runtime={"image": "one:1"})
    old = revision_of(op, "rolled")

    op.ready("rolled", runtime={"image": "two:2"})

    new = revision_of(op, "rolled")
    assert new != old
    pods = op.find(DEPLOYMENT, "rolled-a")["spec"]["template"]["spec"]["containers"]
    assert pods[0]["image"] == "two:2"
    eventually(
        lambda: op.get(CONTROLLER_REVISION, f"rolled-{old}") is None, "the old revision is gone"
    )
    assert op.get(CONTROLLER_REVISION, f"rolled-{new}") is not None


def test_a_new_image_costs_two_statuses_however_many_pods_are_replaced(op: Ground) -> None:
    names = ("slow-a", "slow-b")
    for name in names:
        op.ready(name, replicas=4)
    op.quiet()
    before = len(op.proxy.seen)

    for name in names:
        op.apply(name, replicas=4, runtime={"image": "two:2"})

    for name in names:
        op.wait(name, "Progressing", "False", seconds=180)
        eventually(partial(has_one_revision, op, name), "the old revision is gone")
    op.quiet()
    counted = Counter(
        f"{seen.name[:6]} {seen.what}"
        for seen in op.proxy.writes(before)
        if seen.name.startswith(names)
    )
    assert counted == {
        f"{name} {what}": times
        for name in names
        for what, times in {
            "PATCH controllerrevisions": 1,
            "PATCH deployments": 1,
            "PATCH mcpservers/status": 2,
            "DELETE controllerrevisions": 1,
        }.items()
    }


def has_one_revision(op: Ground, name: str) -> bool:
    query = f"?labelSelector=breakwater.dev/server={name}"
    return len(op.api.get(CONTROLLER_REVISION.path(op.namespace) + query)["items"]) == 1


def test_a_changed_variable_is_a_new_revision_and_what_nobody_reads_is_not(op: Ground) -> None:
    def data(**entries: str) -> dict[str, str]:
        return {key: base64.b64encode(value.encode()).decode() for key, value in entries.items()}

    op.create(SECRET, "github", data=data(token="a", other="a"))
    variable = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "github", "key": "token"}}}
    backend = {"name": "main", "python": {"server": "a:b", "env": [variable]}}
    op.ready("hub", backends=[backend])
    first = revision_of(op, "hub")

    op.patch(SECRET, "github", {"data": data(other="b")})
    op.quiet()
    assert revision_of(op, "hub") == first
    op.patch(SECRET, "github", {"data": data(token="b")})
    eventually(lambda: revision_of(op, "hub") != first, "there is a new revision")
    second = revision_of(op, "hub")
    op.wait("hub", "Progressing", "False")
    op.delete(SECRET, "github")
    found = op.wait("hub", "Progressing", "True", "SourceMissing")

    assert "github does not exist" in found["message"]
    assert revision_of(op, "hub") == second
    op.create(SECRET, "github", data=data(token="a"))
    eventually(lambda: revision_of(op, "hub") == first, "the first one is known again")
    op.wait("hub", "Ready")


def test_what_the_operator_may_not_read_is_told(op: Ground) -> None:
    def is_read(seen: Seen) -> bool:
        return seen.method == "GET" and seen.plural == "secrets" and seen.name == "guarded"

    op.create(SECRET, "guarded", stringData={"crm": "a key of theirs"})
    rule = Rule(is_read, status=403, message='secrets "guarded" is forbidden')
    op.proxy.rules.append(rule)
    try:
        op.apply("barred", access={"keys": {"secretName": "guarded"}})

        found = op.wait("barred", "Ready", "False", "ApplyFailed")
    finally:
        op.proxy.rules.remove(rule)

    assert 'secrets "guarded" is forbidden' in found["message"]
    op.wait("barred", "Ready")


def test_a_suspended_server_has_no_pods_and_comes_back(op: Ground) -> None:
    op.ready("paused")

    op.apply("paused", suspend=True)

    op.wait("paused", "Ready", "True", "Suspended")
    eventually(lambda: not pods(op, "paused"), "its pods are gone")
    op.ready("paused", suspend=False)
    assert len(pods(op, "paused")) == 2


def pods(op: Ground, name: str) -> list[Any]:
    query = f"?labelSelector=breakwater.dev/server={name}"
    found: list[Any] = op.api.get(POD.path(op.namespace) + query)["items"]
    return found


def test_scaling_changes_the_deployment(op: Ground) -> None:
    op.ready("scaled")
    path = MCP_SERVER.path(op.namespace, "scaled", "scale")

    op.api.request("PATCH", path, {"spec": {"replicas": 3}}, "application/merge-patch+json")

    def is_scaled() -> bool:
        server = op.find(MCP_SERVER, "scaled")
        return bool(server["status"].get("readyReplicas") == 3)

    eventually(is_scaled, "three pods are ready")
    assert (
        op.api.get(path)["status"]["selector"]
        == "breakwater.dev/server=scaled,breakwater.dev/slot=a"
    )


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_deleting_a_server_takes_everything_along(op: Ground, policy: str) -> None:
    name = f"gone-{policy.lower()}"
    op.ready(name)
    op.quiet()
    before = len(op.proxy.seen)

    op.delete(MCP_SERVER, name, policy)

    eventually(
        lambda: op.server(name) is None and not op.children(name),
        "all of it is gone",
        seconds=KINDS_SECONDS,
    )
    op.quiet()
    assert op.children(name) == {}
    assert op.writes(name, before) == []


def test_a_deletion_that_the_watch_missed_takes_everything_along(op: Ground) -> None:
    op.ready("missed")
    op.quiet()
    op.proxy.cut_watches(MCP_SERVER.plural, hold=True)
    before = len(op.proxy.seen)
    try:
        op.delete(MCP_SERVER, "missed")

        eventually(lambda: not op.children("missed"), "all of it is gone", seconds=KINDS_SECONDS)
        op.quiet()
    finally:
        op.proxy.release()
    assert op.children("missed") == {}
    assert op.writes("missed", before) == []


def test_a_refused_apply_is_told_in_the_server_s_words_and_heals_by_itself(op: Ground) -> None:

    def is_service(seen: Seen) -> bool:
        return seen.method == "PATCH" and seen.plural == "services" and seen.name == "quota"

    rule = Rule(is_service, status=403, message='services "quota" is forbidden: exceeded quota')
    op.proxy.rules.append(rule)
    before = len(op.proxy.seen)
    try:
        op.apply("quota")
        found = op.wait("quota", "Degraded", "True", "ApplyFailed")
        op.quiet()
    finally:
        op.proxy.rules.remove(rule)

    assert "exceeded quota" in found["message"]
    refused = [seen for seen in op.proxy.seen[before:] if is_service(seen)]
    assert len(refused) <= 2, "it is not tried again at once"
    op.wait("quota", "Ready")
