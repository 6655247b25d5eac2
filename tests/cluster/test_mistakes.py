"""What users get wrong: one refusal or condition to act on, no hot retries, healed when mended."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import (
    CLAIM,
    DEPLOYMENT,
    MCP_SERVER,
    POD,
    SECRET,
    Kind,
)
from breakwater_operator.reconcile.refusals import ASKED_ANNOTATION
from dev.cluster.api import ApiError
from tests.support.certificates import FOR_LONG, self_signed
from tests.support.cluster import KINDS_SECONDS, RunningCluster, eventually
from tests.support.operator_ground import QUOTA, Ground, own_ground

if TYPE_CHECKING:
    from collections.abc import Iterator

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)
SERVER = "oops"

QUIET_SECONDS = 3.0
ASKED_MAX = 3
"""Requests about one server while nothing changes for so long: a retry at once makes hundreds."""

Object = dict[str, Any]
Act = Callable[[Ground], object]


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    platform = {"allowed": {"registries": ["registry.example/*", "breakwater.local/*"]}}
    with own_ground(control_plane, tmp_path_factory, "oops", platform=platform) as made:
        yield made


def nothing(_: Ground) -> None:
    """All is as it should be."""


def respec(**spec: Any) -> Act:
    """Mend the manifest."""
    return lambda op: op.patch(MCP_SERVER, SERVER, {"spec": spec})


def secret(name: str, **data: str) -> Act:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}

    def act(op: Ground) -> None:
        if op.get(SECRET, name) is None:
            op.create(SECRET, name, data=encoded)
        else:
            op.patch(SECRET, name, {"data": encoded})

    return act


def certificate(host: str, until: datetime = FOR_LONG) -> Act:
    def act(op: Ground) -> None:
        crt, key = self_signed(host, until)
        secret("oops-cert", **{"tls.crt": crt.decode(), "tls.key": key.decode()})(op)

    return act


def claim_of(op: Ground, name: str, mode: str) -> None:
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}
    op.create(CLAIM, name, spec=spec)


def claim(op: Ground) -> None:
    claim_of(op, "oops-data", "ReadWriteOnce")


def quota(what: str, most: str) -> Act:
    return lambda op: op.limit(what, most)


def gone(kind: Kind, name: str) -> Act:
    return lambda op: op.delete(kind, name)


def policy(op: Ground) -> None:
    """An admission policy of the cluster that wants a label on Services."""
    matches = {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
                                  "operations": ["CREATE", "UPDATE"],
                                  "resources": ["services"]}]}  # fmt: skip
    selector = {"matchLabels": {"kubernetes.io/metadata.name": op.namespace}}
    op.api.create(
        f"{ADMISSION}/validatingadmissionpolicies",
        {
            "metadata": {"name": op.namespace},
            "spec": {
                "matchConstraints": matches | {"namespaceSelector": selector},
                "validations": [
                    {
                        "expression": "has(object.metadata.labels) && "
                        "has(object.metadata.labels.team)",
                        "message": "say whose it is",
                    }
                ],
            },
        },
    )
    binding = {"policyName": op.namespace, "validationActions": ["Deny"]}
    op.api.create(
        f"{ADMISSION}/validatingadmissionpolicybindings",
        {"metadata": {"name": op.namespace}, "spec": binding},
    )

    def is_enforced() -> bool:
        try:
            op.create(
                Kind("v1", "Service", "services"),
                f"try-{uuid.uuid4().hex[:6]}",  # noqa: TID251 - it has to be new, not known
                spec={"ports": [{"port": 1}]},
            )
        except ApiError as error:
            return "say whose it is" in str(error)
        return False

    eventually(is_enforced, "the policy is enforced", seconds=60)


def no_policy(op: Ground) -> None:
    for plural in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
        if op.api.find(f"{ADMISSION}/{plural}/{op.namespace}") is not None:
            op.api.delete(f"{ADMISSION}/{plural}/{op.namespace}")


def images(pod: Object) -> list[str]:
    return [container["image"] for container in pod["spec"]["containers"]]


def image_is_not_there(op: Ground) -> None:
    """Say of every pod what kubelet says where an image cannot be pulled."""
    words = 'failed to resolve image "registry.example/nope:1": not found'
    waiting = {"reason": "ImagePullBackOff", "message": f"Back-off pulling image: {words}"}
    container = {"name": "runtime", "image": "registry.example/nope:1", "imageID": "",
                 "ready": False, "restartCount": 0, "state": {"waiting": waiting}}  # fmt: skip
    conditions = [{"type": "Ready", "status": "False"}]
    status = {"phase": "Pending", "conditions": conditions, "containerStatuses": [container]}

    def pods() -> list[Object]:
        # Those of the mistake before may be on their way out.
        found: list[Object] = op.api.get(POD.path(op.namespace))["items"]
        return [pod for pod in found if "registry.example/nope:1" in images(pod)]

    # What nobody has pretended to run yet would be pretended to run afterwards.
    eventually(lambda: ["podIP" in it["status"] for it in pods()] == [True, True], "they run")
    for pod in pods():
        path = POD.path(op.namespace, pod["metadata"]["name"], "status")
        op.api.request("PATCH", path, {"status": status}, "application/strategic-merge-patch+json")


TLS = {"expose": {"host": "oops.example", "certificate": {"secretName": "oops-cert"}}}
REFERENCE = {"secretKeyRef": {"name": "oops-token", "key": "token"}}
VARIABLE = {"name": "TOKEN", "valueFrom": REFERENCE}
STDIO: Object = {"name": "main", "container": {"image": "registry.example/a:1", "stdio": ["a"]}}
LIMITED = {"limits": {"cpu": "1"}}
FROM_SECRET = {"name": "main", "python": {"server": "a:b", "env": [VARIABLE]}}
VOLUME = {"name": "data", "persistentVolumeClaim": {"claimName": "oops-data"}}


@dataclass(frozen=True)
class Mistake:
    """A mistake that the API server cannot see, how it is told, and how it is mended."""

    name: str
    spec: Object
    told: tuple[str, str, str]
    """Condition, its status and reason."""
    says: str
    mend: Act
    before: Act = nothing
    after: Act = nothing
    """Done once the server was applied."""
    tidy: tuple[tuple[Kind, str], ...] = field(default=())


MISTAKES = (
    Mistake(
        "missing-secret",
        {"access": {"keys": {"secretName": "oops-keyring"}}},
        ("Progressing", "True", "KeySecretMissing"),
        "create it",
        mend=secret("oops-keyring", crm="0123456789abcdef0123456789abcdef"),
        tidy=((SECRET, "oops-keyring"),),
    ),
    Mistake(
        "secret-without-a-key",
        {"access": {"keys": {"secretName": "oops-keyring"}}},
        ("Progressing", "True", "KeySecretEmpty"),
        "oops-keyring",
        before=secret("oops-keyring", crm=""),
        mend=secret("oops-keyring", crm="0123456789abcdef0123456789abcdef"),
        tidy=((SECRET, "oops-keyring"),),
    ),
    Mistake(
        "missing-variable",
        {"backends": [FROM_SECRET]},
        ("Progressing", "True", "SourceMissing"),
        "oops-token does not exist; create it",
        mend=secret("oops-token", token="a"),
        tidy=((SECRET, "oops-token"),),
    ),
    Mistake(
        "missing-entry-of-a-variable",
        {"backends": [FROM_SECRET]},
        ("Progressing", "True", "SourceMissing"),
        "oops-token has no entry token; add it",
        before=secret("oops-token", other="a"),
        mend=secret("oops-token", token="a"),
        tidy=((SECRET, "oops-token"),),
    ),
    Mistake(
        "missing-certificate",
        TLS,
        ("Progressing", "True", "CertificateMissing"),
        "kubectl create secret tls",
        mend=certificate("oops.example"),
        tidy=((SECRET, "oops-cert"),),
    ),
    Mistake(
        "certificate-of-another-host",
        TLS,
        ("Progressing", "True", "CertificateWrong"),
        "is for other.example, not for oops.example",
        before=certificate("other.example"),
        mend=certificate("oops.example"),
        tidy=((SECRET, "oops-cert"),),
    ),
    Mistake(
        "certificate-that-ended",
        TLS,
        ("Progressing", "True", "CertificateWrong"),
        "the certificate ended at 2021-01-01",
        before=certificate("oops.example", LONG_AGO),
        mend=certificate("oops.example"),
        tidy=((SECRET, "oops-cert"),),
    ),
    Mistake(
        "missing-certificate-of-an-ingress",
        {"expose": TLS["expose"] | {"ingressClassName": "nginx"}},
        ("Degraded", "True", "CertificateMissing"),
        "kubectl create secret tls",
        mend=certificate("oops.example"),
        tidy=((SECRET, "oops-cert"),),
    ),
    Mistake(
        "missing-claim",
        {"replicas": 1, "pod": {"volumes": [VOLUME]}},
        ("Progressing", "True", "ClaimMissing"),
        "create it, or correct its name in spec.pod.volumes",
        mend=claim,
        tidy=((CLAIM, "oops-data"),),
    ),
    Mistake(
        "claim-of-one-pod-with-two",
        {"pod": {"volumes": [VOLUME]}},
        ("Accepted", "False", "SpecInvalid"),
        "2 pods cannot share PersistentVolumeClaim",
        before=claim,
        mend=respec(replicas=1),
        tidy=((CLAIM, "oops-data"),),
    ),
    Mistake(
        "quota",
        {},
        ("Degraded", "True", "PodsRefused"),
        "exceeded quota: tight",
        before=quota("pods", "1"),
        mend=gone(QUOTA, "tight"),
    ),
    Mistake(
        "quota-of-replica-sets",
        {},
        ("Degraded", "True", "PodsRefused"),
        "exceeded quota: tight",
        before=quota("count/replicasets.apps", "0"),
        mend=gone(QUOTA, "tight"),
    ),
    Mistake(
        "quota-that-wants-limits",
        {"backends": [STDIO]},
        ("Degraded", "True", "PodsRefused"),
        "must specify limits.cpu for: backend-main,helper,runtime",
        before=quota("limits.cpu", "8"),
        mend=respec(
            backends=[{"name": "main", "container": STDIO["container"] | {"resources": LIMITED}}],
            pod={"resources": LIMITED},
        ),
    ),
    Mistake(
        "image-that-does-not-pull",
        {"runtime": {"image": "registry.example/nope:1"}},
        ("Degraded", "True", "ImagePullFailed"),
        "registry.example/nope:1 cannot be pulled",
        after=image_is_not_there,
        mend=respec(runtime={"image": "registry.example/there:1"}),
    ),
    Mistake(
        "admission",
        {},
        ("Degraded", "True", "ApplyFailed"),
        "say whose it is",
        before=policy,
        mend=no_policy,
    ),
    Mistake(
        "registry-that-is-not-allowed",
        {"runtime": {"image": "docker.example/any:1"}},
        ("Accepted", "False", "NotAllowed"),
        "write one of: registry.example/*, breakwater.local/*",
        mend=respec(runtime={"image": "registry.example/any:1"}),
    ),
    Mistake(
        "expose-without-a-gateway",
        {"expose": {"host": "oops.example"}},
        ("Accepted", "False", "SpecInvalid"),
        "write gateway or ingressClassName",
        mend=respec(expose={"ingressClassName": "nginx"}),
    ),
    Mistake(
        "traces-without-a-collector",
        {"monitoring": {"tracing": {"percent": 5}}},
        ("Accepted", "False", "SpecInvalid"),
        "have one set up",
        mend=respec(monitoring={"tracing": None}),
    ),
)


@pytest.mark.requirement("W5")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_one_condition_and_heals_when_it_is_mended(
    op: Ground, mistake: Mistake
) -> None:
    kind, status, reason = mistake.told
    try:
        mistake.before(op)
        op.apply(SERVER, **mistake.spec)
        mistake.after(op)

        found = op.wait(SERVER, kind, status, reason)

        assert mistake.says in found["message"]
        eventually(
            lambda: mistake.says in op.wait(SERVER, "Ready", "False")["message"],
            "Ready says so too",
        )
        assert asked(op) <= ASKED_MAX
        mistake.mend(op)
        op.wait(SERVER, "Ready")
        op.wait(SERVER, "Progressing", "False")
        op.wait(SERVER, "Degraded", "False")
    finally:
        no_policy(op)
        for kind_, name in ((MCP_SERVER, SERVER), (QUOTA, "tight"), *mistake.tidy):
            if op.get(kind_, name) is not None:
                op.delete(kind_, name)
        eventually(lambda: not op.children(SERVER), "all of it is gone", seconds=KINDS_SECONDS)
        # A claim stays as long as a pod mounts it.
        for kind_, name in mistake.tidy:
            eventually(partial(is_gone, op, kind_, name), f"{name} is gone", seconds=KINDS_SECONDS)


def test_pods_that_were_refused_are_asked_for_again(op: Ground) -> None:
    """A controller of Kubernetes itself does that ever more seldom, and one of them never again."""
    quota("count/replicasets.apps", "0")(op)
    op.apply("barred")
    op.wait("barred", "Degraded", "True", "PodsRefused")
    eventually(lambda: ASKED_ANNOTATION in noted(op, "barred"), "asked again", seconds=60)
    assert op.condition("barred", "Degraded")["reason"] == "PodsRefused"

    op.delete(QUOTA, "tight")

    op.wait("barred", "Ready", seconds=150)
    last = noted(op, "barred")
    op.quiet()
    assert noted(op, "barred") == last


def noted(op: Ground, name: str) -> Object:
    found: Object | None = op.find(DEPLOYMENT, f"{name}-a")["metadata"].get("annotations")
    return found or {}


def is_gone(op: Ground, kind: Kind, name: str) -> bool:
    return op.get(kind, name) is None


def asked(op: Ground) -> int:
    """Count what is asked and written while nobody changes anything."""
    op.quiet()
    before = len(op.proxy.seen)
    time.sleep(QUIET_SECONDS)
    return len(op.proxy.asked(before))


def pods(op: Ground, name: str) -> set[str]:
    """The pods of a server that nobody has told to stop."""
    path = f"{POD.path(op.namespace)}?labelSelector=breakwater.dev/server={name}"
    found = [one["metadata"] for one in op.api.get(path)["items"]]
    return {one["uid"] for one in found if "deletionTimestamp" not in one}


def mounting(name: str) -> Object:
    return {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]}


def test_pods_that_serve_stay_until_a_claim_is_there_that_new_ones_mount(op: Ground) -> None:
    op.ready("typo", replicas=3)
    served, before = pods(op, "typo"), op.find(DEPLOYMENT, "typo-a")["spec"]

    op.apply("typo", replicas=3, pod=mounting("typo-data"))

    found = op.wait("typo", "Progressing", "True", "ClaimMissing")
    assert "typo-data does not exist" in found["message"]
    assert "typo-data does not exist" in op.wait("typo", "Ready", "False")["message"]
    assert asked(op) <= ASKED_MAX
    assert pods(op, "typo") == served
    assert op.find(DEPLOYMENT, "typo-a")["spec"] == before
    # What serves is kept true meanwhile, also where the Deployment was lost.
    op.delete(DEPLOYMENT, "typo-a", "Orphan")
    op.apply("typo", replicas=4, pod=mounting("typo-data"))
    eventually(lambda: len(pods(op, "typo")) == 4, "there is one more", seconds=KINDS_SECONDS)
    assert served < pods(op, "typo")

    claim_of(op, "typo-data", "ReadWriteMany")

    op.wait("typo", "Ready")
    op.wait("typo", "Progressing", "False")
    template = op.find(DEPLOYMENT, "typo-a")["spec"]["template"]["spec"]
    assert "data" in {volume["name"] for volume in template["volumes"]}
    op.delete(MCP_SERVER, "typo")


def test_pods_that_serve_stay_while_the_claim_that_new_ones_mount_is_being_deleted(
    op: Ground,
) -> None:
    claim_of(op, "leaving", "ReadWriteMany")
    op.patch(CLAIM, "leaving", {"metadata": {"finalizers": ["test.example/held"]}})
    op.ready("stays", replicas=2)
    served = pods(op, "stays")
    op.delete(CLAIM, "leaving")

    op.apply("stays", replicas=2, pod=mounting("leaving"))

    found = op.wait("stays", "Progressing", "True", "ClaimMissing")
    assert "leaving is being deleted" in found["message"]
    assert asked(op) <= ASKED_MAX
    assert pods(op, "stays") == served
    op.patch(CLAIM, "leaving", {"metadata": {"finalizers": None}})
    eventually(partial(is_gone, op, CLAIM, "leaving"), "it is gone", seconds=60)
    claim_of(op, "leaving", "ReadWriteMany")
    op.wait("stays", "Ready")
    op.delete(MCP_SERVER, "stays")


def test_a_claim_that_turns_out_to_be_of_one_pod_takes_none_from_a_server(op: Ground) -> None:
    op.ready("late", replicas=3)
    served = pods(op, "late")
    op.apply("late", replicas=3, pod=mounting("late-data"))
    op.wait("late", "Progressing", "True", "ClaimMissing")

    claim_of(op, "late-data", "ReadWriteOnce")

    op.wait("late", "Accepted", "False", "SpecInvalid")
    op.quiet()
    assert pods(op, "late") == served
    op.apply("late", replicas=1, pod=mounting("late-data"))
    op.wait("late", "Accepted")
    strategy = op.find(DEPLOYMENT, "late-a")["spec"]["strategy"]
    assert strategy == {"type": "Recreate"}
    op.delete(MCP_SERVER, "late")


@pytest.mark.parametrize(
    ("name", "load"),
    [pytest.param("three", {}, id="fixed"), pytest.param("load", {"max": 5}, id="by-load")],
)
def test_a_refused_manifest_leaves_what_runs_as_it_is(op: Ground, name: str, load: Object) -> None:
    spec: Object = {"replicas": 3} | ({"autoscaling": load} if load else {})
    claim_of(op, f"{name}-data", "ReadWriteOnce")
    op.ready(name, **spec)
    op.quiet()
    served, before = pods(op, name), op.children(name)

    op.apply(name, **spec, pod=mounting(f"{name}-data"))

    op.wait(name, "Accepted", "False", "SpecInvalid")
    op.quiet()
    assert pods(op, name) == served
    assert op.children(name) == before
    op.apply(name, **spec)
    op.wait(name, "Ready")
    assert pods(op, name) == served
    op.delete(MCP_SERVER, name)


DENIED = {"name": "safe", "effect": "Deny", "principals": ["*"], "tools": ["*"],
          "backends": ["mian"]}  # fmt: skip
BUNDLED = {"issuer": "https://id.example", "audiences": ["a"], "caBundle": "LS0tLS1CRUdJTiBDRVJU"}
REFUSED = [
    ({"access": {"addresses": {"allow": ["10.0.0.1/8"]}}}, "no bits beyond its prefix"),
    ({"egressRules": [{"cidr": "10.0.0.0/33"}]}, "write"),
    ({"limits": {"requestsPerMinute": {"principal": 0}}}, "greater than or equal to 1"),
    ({"expose": {"host": "10.0.0.1", "ingressClassName": "nginx"}}, "write a host name in place"),
    ({"limits": {"timeouts": {"call": "0s"}}}, "0 would let nothing through"),
    ({"limits": {"bodies": {"max": "0.0Mi"}}}, "0 would let nothing through"),
    ({"expose": {"host": "https://Shop.example"}}, "write one host name in lower case"),
    ({"access": {"jwt": BUNDLED}}, "write certificates in PEM"),
    ({"access": {"policies": [DENIED]}}, "must be the name of one of spec.backends"),
]


@pytest.mark.parametrize(("spec", "says"), REFUSED)
def test_what_one_object_tells_is_refused_at_once(op: Ground, spec: Object, says: str) -> None:
    with pytest.raises(ApiError, match=says):
        op.apply("refused", **spec)


def test_a_name_too_long_for_its_children_is_refused_at_once(op: Ground) -> None:
    with pytest.raises(ApiError, match="at most 40 characters"):
        op.apply("x" * 41)


def test_no_mistake_is_a_traceback(op: Ground) -> None:
    lines = [line for line in op.operator.log.splitlines() if line.startswith("{")]
    assert [one for one in map(json.loads, lines) if "Traceback" in str(one)] == []
