"""What stands around a server's pods, on a real API server: scaling, budgets, policies, routes."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from breakwater_operator.kube.kinds import (
    AUTOSCALER,
    CERTIFICATE,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    EVENT,
    HTTP_ROUTE,
    INGRESS,
    MCP_SERVER,
    NETWORK_POLICY,
    OPTIONAL,
    POD,
    POD_MONITOR,
    REFERENCE_GRANT,
    SECRET,
    SERVICE,
    SERVICE_MONITOR,
    Kind,
)
from tests.support.certificates import FOR_LONG, SINCE_LONG, self_signed
from tests.support.cluster import KINDS_SECONDS, RunningCluster, eventually
from tests.support.faultproxy import Rule
from tests.support.operator_ground import Ground, now, own_ground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with own_ground(control_plane, tmp_path_factory, "work") as made:
        yield made


def replicas(op: Ground, name: str) -> int:
    return int(op.find(DEPLOYMENT, f"{name}-a")["spec"]["replicas"])


def pods(op: Ground, name: str) -> set[str]:
    """The pods of a server that are not on their way out."""
    path = f"{POD.path(op.namespace)}?labelSelector=breakwater.dev/server={name}"
    found = [one["metadata"] for one in op.api.get(path)["items"]]
    return {one["uid"] for one in found if "deletionTimestamp" not in one}


def is_scaled(op: Ground, name: str, count: int) -> bool:
    return len(pods(op, name)) == count


def scaled(op: Ground, name: str, count: int) -> None:
    """Scale a Deployment as an autoscaler does."""
    path = f"{DEPLOYMENT.path(op.namespace, f'{name}-a', 'scale')}?fieldManager=autoscaler"
    merge = "application/merge-patch+json"
    op.api.request("PATCH", path, {"spec": {"replicas": count}}, merge)


@pytest.mark.requirement("T16")
def test_an_autoscaler_takes_the_number_of_pods_over_and_none_is_lost(op: Ground) -> None:
    op.ready("surge", replicas=5)
    before = pods(op, "surge")

    op.ready("surge", replicas=5, autoscaling={"max": 8})
    op.quiet()

    assert replicas(op, "surge") == 5
    assert (len(before), pods(op, "surge")) == (5, before)
    spec = op.find(AUTOSCALER, "surge-a")["spec"]
    assert [(one["resource"]["name"], one["resource"]["target"]["averageUtilization"])
            for one in spec["metrics"]] == [("cpu", 70), ("memory", 80)]  # fmt: skip
    # A new revision is applied without a number: the one that was ours until now must stay.
    op.ready(
        "surge",
        replicas=5,
        autoscaling={"max": 8},
        runtime={"image": "registry.example/other:2"},
    )
    assert replicas(op, "surge") == 5


def test_what_an_autoscaler_decides_stays_and_is_given_back_at_once(op: Ground) -> None:
    op.ready("tide", autoscaling={"min": 2, "max": 9})
    scaled(op, "tide", 7)
    op.quiet()
    assert replicas(op, "tide") == 7
    assert "only the start value" in op.condition("tide", "Accepted")["message"]
    eventually(lambda: len(pods(op, "tide")) == 7, "there are seven", seconds=60)
    before = pods(op, "tide")

    op.patch(MCP_SERVER, "tide", {"spec": {"autoscaling": None, "replicas": 7}})

    eventually(lambda: op.get(AUTOSCALER, "tide-a") is None, "the autoscaler is gone")
    op.wait("tide", "Progressing", "False")
    assert replicas(op, "tide") == 7
    assert pods(op, "tide") == before
    scaled(op, "tide", 4)
    eventually(lambda: replicas(op, "tide") == 7, "the number is ours again")


def test_a_deployment_that_is_deleted_comes_back_with_the_pods_that_the_load_needs(
    op: Ground,
) -> None:
    op.ready("ebb", autoscaling={"min": 2, "max": 9})
    scaled(op, "ebb", 5)
    # There are no metrics here, so the number is told in the autoscaler's place.
    path = AUTOSCALER.path(op.namespace, "ebb-a", "status")
    decided = {"status": {"desiredReplicas": 5}}
    op.api.request("PATCH", path, decided, "application/merge-patch+json")
    op.quiet()
    before = op.find(DEPLOYMENT, "ebb-a")["metadata"]["uid"]

    def is_another() -> bool:
        found = op.get(DEPLOYMENT, "ebb-a")
        return found is not None and bool(found["metadata"]["uid"] != before)

    op.delete(DEPLOYMENT, "ebb-a")

    eventually(is_another, "there is another one")
    assert replicas(op, "ebb") == 5


def test_a_server_stays_ready_while_load_brings_and_takes_pods(op: Ground) -> None:
    op.ready("swell", autoscaling={"min": 2, "max": 9})
    op.quiet()
    since = {kind: op.condition("swell", kind) for kind in ("Available", "Ready")}

    for count in (6, 3):
        # Conditions know their time by the second.
        time.sleep(1.1)
        scaled(op, "swell", count)
        eventually(partial(is_scaled, op, "swell", count), f"there are {count}", seconds=60)
        op.wait("swell", "Progressing", "False")
        op.quiet()

    # Where only words and numbers are others, they may be written a little later.
    eventually(
        lambda: op.condition("swell", "Ready")["message"] == "3 of 3 pods are ready", "it says so"
    )
    for kind, before in since.items():
        now = op.condition("swell", kind)
        assert (now["status"], now["lastTransitionTime"]) == ("True", before["lastTransitionTime"])


def test_an_autoscaler_of_others_may_scale_our_deployment_and_is_named(op: Ground) -> None:
    op.ready("fought")
    before = pods(op, "fought")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fought-a"}
    op.create(
        AUTOSCALER, "own", spec={"minReplicas": 4, "maxReplicas": 6, "scaleTargetRef": target}
    )

    # The controller looks every 15 seconds, and below its least it needs no metrics.
    found = op.wait("fought", "Degraded", "True", "ReplicasContested", seconds=90)

    assert f"HorizontalPodAutoscaler {op.namespace}/own scales" in found["message"]
    assert "kind: McpServer, name: fought" in found["message"]
    op.wait("fought", "Progressing", "False")
    op.wait("fought", "Ready")
    eventually(partial(is_scaled, op, "fought", 4), "there are four")
    four = pods(op, "fought")
    assert before <= four
    op.patch(MCP_SERVER, "fought", {"spec": {"access": {"origins": ["https://a.example"]}}})
    op.quiet()
    assert pods(op, "fought") == four
    target = {"apiVersion": MCP_SERVER.api_version, "kind": MCP_SERVER.name, "name": "fought"}
    op.patch(AUTOSCALER, "own", {"spec": {"scaleTargetRef": target}})
    op.wait("fought", "Degraded", "False", seconds=90)

    def wanted() -> int:
        return int(op.find(MCP_SERVER, "fought")["spec"]["replicas"])

    eventually(lambda: wanted() == 4, "it scales the McpServer", seconds=90)
    eventually(lambda: replicas(op, "fought") == 4, "and we the Deployment")
    op.wait("fought", "Ready")


def test_an_autoscaler_that_has_no_metrics_is_told_of_after_a_while(op: Ground) -> None:
    op.ready("blind", autoscaling={"max": 5})

    def says() -> list[Any]:
        found = op.find(AUTOSCALER, "blind-a").get("status", {}).get("conditions") or []
        return [one for one in found if (one["type"], one["status"]) == ("ScalingActive", "False")]

    eventually(says, "there are no metrics here", seconds=90)
    assert op.condition("blind", "Degraded")["status"] == "False"

    [condition] = says()
    long_ago = condition | {"lastTransitionTime": "2021-01-01T00:00:00Z"}
    path = AUTOSCALER.path(op.namespace, "blind-a", "status")
    change = {"status": {"conditions": [long_ago]}}
    op.api.request("PATCH", path, change, "application/merge-patch+json")

    found = op.wait("blind", "Degraded", "True", "AutoscalerFailed")
    assert condition["reason"] in found["message"]
    assert "metrics-server" in found["message"]
    op.wait("blind", "Ready")
    op.patch(MCP_SERVER, "blind", {"spec": {"autoscaling": None}})
    op.wait("blind", "Degraded", "False")


@pytest.mark.parametrize("load", ["takes-over", "gives-back"])
def test_an_old_view_of_a_server_takes_no_pod_from_it(op: Ground, load: str) -> None:
    """The watch of McpServers is late; what another replica made of a newer one is seen."""
    begins: dict[str, Any] = {"replicas": 5}
    becomes: dict[str, Any] = {"replicas": 7, "autoscaling": {"min": 2, "max": 9}}
    if load == "gives-back":
        begins, becomes = {"autoscaling": {"min": 2, "max": 9}}, {"replicas": 7}
    op.ready(load, **begins)
    scaled(op, load, 5)
    eventually(lambda: len(pods(op, load)) == 5, "there are five", seconds=60)
    op.quiet()
    before = pods(op, load)
    op.proxy.cut_watches(MCP_SERVER.plural, hold=True)
    try:
        op.patch(MCP_SERVER, load, {"spec": {"autoscaling": None} | becomes})
        if load == "takes-over":
            owner = op.find(DEPLOYMENT, f"{load}-a")["metadata"]
            metadata = {key: owner[key] for key in ("labels", "ownerReferences")}
            op.create(AUTOSCALER, f"{load}-a", metadata=metadata, spec=autoscaler(load))
        else:
            op.delete(AUTOSCALER, f"{load}-a")
        scaled(op, load, 7)
        op.wait(load, "Progressing", "False")
        op.quiet()
    finally:
        op.proxy.release()

    assert replicas(op, load) == 7
    assert before <= pods(op, load)
    assert (op.get(AUTOSCALER, f"{load}-a") is not None) is (load == "takes-over")


def autoscaler(name: str) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{name}-a"}
    return {"minReplicas": 2, "maxReplicas": 9, "scaleTargetRef": target}


def test_a_suspended_server_comes_back_with_pods_although_load_decides(op: Ground) -> None:
    op.ready("nap", autoscaling={"min": 3, "max": 9})
    op.patch(MCP_SERVER, "nap", {"spec": {"suspend": True}})
    eventually(lambda: replicas(op, "nap") == 0, "it sleeps")
    assert op.get(AUTOSCALER, "nap-a") is None

    op.patch(MCP_SERVER, "nap", {"spec": {"suspend": False}})

    eventually(lambda: replicas(op, "nap") == 3, "it is awake")
    op.wait("nap", "Ready")


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        pytest.param(NETWORK_POLICY, "{}", {"spec": {"ingress": [{}]}}, id="policy-opened"),
        pytest.param(NETWORK_POLICY, "{}", {"spec": {"egress": None}}, id="egress-removed"),
        pytest.param(DISRUPTION_BUDGET, "{}", {"spec": {"maxUnavailable": 2}}, id="budget"),
        pytest.param(
            DISRUPTION_BUDGET,
            "{}",
            {"spec": {"selector": {"matchLabels": {"app": "x"}}}},
            id="budget-selector",
        ),
        pytest.param(AUTOSCALER, "{}-a", {"spec": {"maxReplicas": 99}}, id="autoscaler"),
        pytest.param(
            SERVICE, "{}-metrics", {"spec": {"publishNotReadyAddresses": False}}, id="metrics"
        ),
        pytest.param(INGRESS, "{}", {"spec": {"rules": [{"host": "evil.example"}]}}, id="ingress"),
    ],
)
def test_what_somebody_edits_comes_back(op: Ground, kind: Kind, name: str, change: Any) -> None:
    wanted = {
        "autoscaling": {"max": 5},
        "expose": {"host": "drift.example", "ingressClassName": "nginx"},
    }
    op.ready("drift", **wanted)
    before = op.find(kind, name.format("drift"))["spec"]

    op.patch(kind, name.format("drift"), change)

    def is_back() -> bool:
        return bool(op.find(kind, name.format("drift"))["spec"] == before)

    eventually(is_back, f"{kind.name} is back", seconds=5)


def test_what_is_no_longer_asked_for_goes(op: Ground) -> None:
    op.ready("less", expose={"host": "less.example", "ingressClassName": "nginx"})
    assert op.get(INGRESS, "less") is not None

    op.patch(MCP_SERVER, "less", {"spec": {"expose": None}})

    eventually(lambda: op.get(INGRESS, "less") is None, "the Ingress is gone")


def test_a_server_of_another_class_is_left_to_another_operator(op: Ground) -> None:
    op.apply("theirs", operatorClass="blue")
    op.ready("ours")

    assert op.children("theirs") == {}
    assert "status" not in op.find(MCP_SERVER, "theirs")


def has_none(op: Ground, name: str) -> bool:
    return op.get(SERVICE, name) is None


def test_a_retained_key_outlives_its_server_and_is_taken_up_again(op: Ground) -> None:
    op.ready("keeper", access={"keys": {"retain": True}})
    key = op.find(SECRET, "keeper-keys")["data"]["default"]

    op.delete(MCP_SERVER, "keeper")
    eventually(partial(has_none, op, "keeper"), "the children are gone", seconds=KINDS_SECONDS)
    op.ready("keeper", access={"keys": {"retain": True}})

    assert op.find(SECRET, "keeper-keys")["data"]["default"] == key
    op.patch(MCP_SERVER, "keeper", {"spec": {"access": {"keys": {"retain": False}}}})
    eventually(
        lambda: op.find(SECRET, "keeper-keys")["metadata"].get("ownerReferences"),
        "the key belongs to the server",
    )


def test_a_key_that_is_neither_used_nor_retained_any_more_goes(op: Ground) -> None:
    op.create(SECRET, "brought", stringData={"crm": "a key"})
    op.ready("earlier", access={"keys": {"retain": True}})
    op.delete(MCP_SERVER, "earlier")
    eventually(partial(has_none, op, "earlier"), "the children are gone", seconds=KINDS_SECONDS)
    # Objects know their age by the second.
    time.sleep(1.1)
    op.ready("changed", access={"keys": {"retain": True}})
    for name in ("earlier", "changed"):
        op.ready(name, access={"keys": {"retain": True, "secretName": "brought"}})
    op.quiet()
    assert op.get(SECRET, "changed-keys") is not None

    for name in ("earlier", "changed"):
        op.ready(name, access={"keys": {"retain": False, "secretName": "brought"}})
    eventually(lambda: op.get(SECRET, "changed-keys") is None, "the key is gone")
    op.quiet()

    # What an earlier server left is for whoever may want it.
    assert op.get(SECRET, "earlier-keys") is not None


def test_who_exposes_a_host_that_another_server_has_is_told(op: Ground) -> None:
    host = {"host": "both.example", "ingressClassName": "nginx"}
    op.ready("both-b", expose=host)
    # Which one is older is known by the second.
    time.sleep(1.1)
    op.apply("both-a", expose=host)

    found = op.wait("both-a", "Degraded", "True", "HostTaken")

    assert f"leads to McpServer {op.namespace}/both-b for it" in found["message"]
    # Whoever is inside the cluster is served.
    op.wait("both-a", "Ready")
    op.wait("both-a", "Progressing", "False")
    assert op.condition("both-b", "Degraded")["status"] == "False"
    op.quiet()
    before, late = len(op.proxy.seen), threading.Event()
    op.operator.kill()
    op.proxy.rules.append(Rule(lambda seen: seen.name.startswith("both-b"), late=late))
    op.operator.start()
    op.operator.wait_ready()
    op.quiet()
    late.set()
    op.quiet()
    # Nothing is taken back by who has just come to lead.
    written = [seen.name for seen in op.proxy.writes(before) if seen.part == "status"]
    assert not {"both-b", "both-a"} & {*written}
    op.apply("both-a", expose=host | {"ingressClassName": "internal"})
    op.wait("both-a", "Degraded", "False")
    op.apply("both-a", expose=host)
    op.wait("both-a", "Degraded", "True", "HostTaken")
    op.delete(MCP_SERVER, "both-b")
    op.wait("both-a", "Degraded", "False")


class TestTls:
    def secret(
        self,
        op: Ground,
        name: str,
        host: str,
        until: datetime = FOR_LONG,
        since: datetime = SINCE_LONG,
    ) -> dict[str, str]:
        certificate, key = self_signed(host, until, since)
        data = {"tls.crt": certificate, "tls.key": key}
        encoded = {entry: base64.b64encode(value).decode() for entry, value in data.items()}
        if op.get(SECRET, name) is None:
            op.create(SECRET, name, type="kubernetes.io/tls", data=encoded)
        else:
            op.patch(SECRET, name, {"data": encoded})
        return encoded

    @pytest.mark.requirement("T1")
    def test_a_renewed_certificate_reaches_the_pods_and_restarts_none(self, op: Ground) -> None:
        self.secret(op, "web-cert", "web.example")
        expose = {"host": "web.example", "certificate": {"secretName": "web-cert"}}
        before = op.ready("web", expose=expose)["status"]

        renewed = self.secret(op, "web-cert", "web.example")

        def is_copied() -> bool:
            data = op.find(SECRET, "web-live")["data"]
            return (data[".tls.crt"], data[".tls.key"]) == tuple(renewed.values())

        eventually(is_copied, "the new pair is copied", seconds=5)
        assert op.find(MCP_SERVER, "web")["status"]["revision"] == before["revision"]
        assert before["address"] == {
            "url": f"https://web.{op.namespace}.svc:8080/mcp",
            "externalUrl": "https://web.example/mcp",
        }

    @pytest.mark.parametrize(
        ("host", "until", "says"),
        [
            pytest.param(
                "other.example", FOR_LONG, "is for other.example, not for shop.example", id="for"
            ),
            pytest.param("shop.example", LONG_AGO, "the certificate ended at", id="ended"),
        ],
    )
    def test_a_wrong_certificate_is_named_and_the_good_one_stays(
        self, op: Ground, host: str, until: datetime, says: str
    ) -> None:
        good = self.secret(op, "shop-cert", "shop.example")
        expose = {"host": "shop.example", "certificate": {"secretName": "shop-cert"}}
        op.ready("shop", expose=expose)

        def served() -> str:
            return str(op.find(SECRET, "shop-live")["data"][".tls.crt"])

        # One of before may be served still.
        eventually(lambda: served() == good["tls.crt"], "the good one is served")

        self.secret(op, "shop-cert", host, until)

        found = op.wait("shop", "Ready", "False", "CertificateWrong")
        assert says in found["message"]
        assert served() == good["tls.crt"]
        self.secret(op, "shop-cert", "shop.example")
        op.wait("shop", "Ready")

    def test_a_certificate_that_is_not_valid_yet_is_taken_once_it_is(self, op: Ground) -> None:
        begins = now().replace(microsecond=0) + timedelta(seconds=8)
        self.secret(op, "early-cert", "early.example", since=begins)
        expose = {"host": "early.example", "certificate": {"secretName": "early-cert"}}
        op.apply("early", expose=expose)

        op.wait("early", "Ready")

        assert now() >= begins

    def test_a_missing_certificate_is_waited_for(self, op: Ground) -> None:
        expose = {"host": "late.example", "certificate": {"secretName": "late-cert"}}
        op.apply("late", expose=expose)
        found = op.wait("late", "Ready", "False", "CertificateMissing")
        assert "kubectl create secret tls" in found["message"]

        self.secret(op, "late-cert", "late.example")

        op.wait("late", "Ready")

    def test_a_host_that_is_an_address_is_served_with_a_certificate_for_it(
        self, op: Ground
    ) -> None:
        self.secret(op, "address-cert", "10.9.8.7")

        served = op.ready(
            "address",
            expose={"host": "10.9.8.7", "certificate": {"secretName": "address-cert"}},
        )

        assert served["status"]["address"]["externalUrl"] == "https://10.9.8.7/mcp"


DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def others_kinds(op: Ground) -> Iterator[Callable[[], None]]:
    """Install the definitions of other projects when told, and remove them in the end."""
    definitions = [
        yaml.safe_load(path.read_text())
        for path in sorted((ROOT / "tests/support/kinds").glob("*.yaml"))
    ]

    def install() -> None:
        for definition in definitions:
            op.api.create(DEFINITIONS, definition)

    yield install

    for definition in definitions:
        path = f"{DEFINITIONS}/{definition['metadata']['name']}"
        if op.api.find(path) is not None:
            op.api.delete(path)
        eventually(partial(is_removed, op, path), f"{path} is gone", seconds=60)


def is_removed(op: Ground, path: str) -> bool:
    return op.api.find(path) is None


def test_optional_kinds_are_used_once_they_are_there(
    op: Ground, others_kinds: Callable[[], None]
) -> None:
    certificate = {"issuer": "letsencrypt"}
    expose = {"host": "door.example", "gateway": "infra/public", "certificate": certificate}
    op.apply("door", expose=expose)
    found = op.wait("door", "Ready", "False", "KindMissing")
    assert "install the Gateway API" in found["message"]

    others_kinds()

    for kind, name in ((HTTP_ROUTE, "door"), (REFERENCE_GRANT, "door"), (CERTIFICATE, "door"),
                       (SERVICE_MONITOR, "door")):  # fmt: skip
        eventually(
            lambda kind=kind, name=name: op.get(kind, name) is not None,  # type: ignore[misc]  # mypy cannot infer a lambda's default
            f"the {kind.name}",
            seconds=90,
        )
    spec = op.find(HTTP_ROUTE, "door")["spec"]
    assert spec["hostnames"] == ["door.example"]
    assert spec["rules"][0]["timeouts"] == {"request": "0s", "backendRequest": "0s"}
    op.wait("door", "Ready")
    op.patch(MCP_SERVER, "door", {"spec": {"monitoring": {"scrape": "PodMonitor"}}})
    eventually(lambda: op.get(POD_MONITOR, "door") is not None, "the PodMonitor")
    eventually(lambda: op.get(SERVICE_MONITOR, "door") is None, "no ServiceMonitor")


def followed(op: Ground) -> set[str]:
    """The optional kinds that the operator watches."""
    _, metrics = op.operator.ask("/metrics")
    return {
        kind.name
        for kind in OPTIONAL
        if f'breakwater_informer_age_seconds{{kind="{kind.name}"}}' in metrics
    }


def reasons(op: Ground, name: str) -> set[str]:
    """The reasons of all events about a server."""
    found = op.api.get(EVENT.path(op.namespace))["items"]
    return {one["reason"] for one in found if one["regarding"]["name"] == name}


def test_optional_kinds_that_go_are_asked_for_no_longer(
    op: Ground, others_kinds: Callable[[], None]
) -> None:
    others_kinds()
    op.apply("gone", expose={"host": "gone.example", "gateway": "infra/public"})
    eventually(lambda: op.get(HTTP_ROUTE, "gone") is not None, "the route", seconds=90)
    op.wait("gone", "Ready")
    # The look that found the first of them may have been a moment too early for the others.
    eventually(
        lambda: followed(op) == {kind.name for kind in OPTIONAL},
        "all of them are followed",
        seconds=90,
    )

    for path in (ROOT / "tests/support/kinds").glob("*.yaml"):
        op.api.delete(f"{DEFINITIONS}/{yaml.safe_load(path.read_text())['metadata']['name']}")

    op.wait("gone", "Ready", "False", "KindMissing", seconds=120)
    op.quiet(2.0)
    # Nor is it a failure of anything that somebody would have to mend.
    assert op.condition("gone", "Degraded")["status"] == "False"
    assert "ApplyFailed" not in reasons(op, "gone")
    eventually(lambda: not followed(op), "none of them is followed", seconds=90)
    before = len(op.proxy.seen)
    op.patch(MCP_SERVER, "gone", {"spec": {"limits": {"inFlight": 7}}})
    op.wait("gone", "Accepted")
    op.quiet()
    optional = {kind.plural for kind in OPTIONAL}
    assert [seen.what for seen in op.proxy.seen[before:] if seen.plural in optional] == []
    assert op.operator.ask("/healthz") == (200, "ok\n")


def test_a_route_stays_although_somebody_says_that_its_kind_is_gone(
    op: Ground, others_kinds: Callable[[], None]
) -> None:
    others_kinds()
    op.apply("stays", expose={"host": "stays.example", "gateway": "infra/public"})
    eventually(lambda: op.get(HTTP_ROUTE, "stays") is not None, "the route", seconds=90)
    op.wait("stays", "Ready")
    before = op.find(HTTP_ROUTE, "stays")["metadata"]["uid"]
    # Servers of other tests have routes again too.
    lie = Rule(
        lambda seen: (seen.what, seen.name) == ("PATCH httproutes", "stays"), status=404, times=1
    )
    op.proxy.rules.append(lie)

    op.patch(MCP_SERVER, "stays", {"spec": {"expose": {"host": "moved.example"}}})

    def hosts() -> list[str]:
        found: list[str] = op.find(HTTP_ROUTE, "stays")["spec"]["hostnames"]
        return found

    eventually(lambda: hosts() == ["moved.example"], "the route follows", seconds=90)
    assert lie.hit == 1
    assert op.find(HTTP_ROUTE, "stays")["metadata"]["uid"] == before
    op.wait("stays", "Ready")


def test_an_api_server_that_has_just_been_started_takes_no_kind_away(
    op: Ground, others_kinds: Callable[[], None]
) -> None:
    others_kinds()
    op.apply("early-bird", expose={"host": "bird.example", "gateway": "infra/public"})
    eventually(lambda: op.get(HTTP_ROUTE, "early-bird") is not None, "the route", seconds=90)
    op.wait("early-bird", "Ready")

    def looks() -> int:
        return sum(seen.what == "GET " for seen in op.proxy.seen)

    # A look while the kinds of the test before went and these came has maybe missed some already.
    found = looks()
    eventually(lambda: looks() > found, "a look that finds them", seconds=90)
    op.quiet()
    ready, said = op.condition("early-bird", "Ready"), op.operator.log.count("no longer knows")
    # For a moment discovery then names none of the kinds that are defined by objects.
    empty = Rule(lambda seen: seen.what == "GET ", status=200, times=1)
    op.proxy.rules.append(empty)
    eventually(lambda: empty.hit == 1, "a look that finds no kinds", seconds=90)
    before = looks()
    eventually(lambda: looks() > before, "another look", seconds=90)
    op.quiet()

    assert op.operator.log.count("no longer knows") == said
    assert op.condition("early-bird", "Ready") == ready


def test_what_others_kinds_fill_in_is_no_drift(
    op: Ground, others_kinds: Callable[[], None]
) -> None:
    others_kinds()
    op.apply("gate", expose={"host": "gate.example", "gateway": "infra/public"})
    eventually(lambda: op.get(HTTP_ROUTE, "gate") is not None, "the route", seconds=90)
    op.wait("gate", "Ready")
    op.wait("gate", "Progressing", "False")
    op.quiet()
    before = len(op.proxy.seen)

    op.patch(MCP_SERVER, "gate", {"metadata": {"annotations": {"look": "again"}}})
    op.quiet()

    assert op.writes("gate", before) == []
    op.patch(HTTP_ROUTE, "gate", {"spec": {"hostnames": ["evil.example"]}})
    eventually(
        lambda: op.find(HTTP_ROUTE, "gate")["spec"]["hostnames"] == ["gate.example"],
        "the route is back",
    )


def test_a_server_that_another_operator_is_to_look_after_keeps_the_host_that_leads_to_it(
    op: Ground,
) -> None:
    host = {"host": "handed.example", "ingressClassName": "nginx"}
    op.ready("handed-a", expose=host)
    op.apply("handed-a", expose=host, operatorClass="another")
    op.quiet()

    op.apply("handed-b", expose=host)

    found = op.wait("handed-b", "Degraded", "True", "HostTaken")
    assert f"leads to McpServer {op.namespace}/handed-a for it" in found["message"]
    op.delete(INGRESS, "handed-a")
    op.wait("handed-b", "Degraded", "False")


def test_a_gateway_and_an_issuer_that_refuse_are_quoted(
    op: Ground, others_kinds: Callable[[], None]
) -> None:
    others_kinds()
    certificate = {"issuer": "nobody"}
    expose = {"host": "shut.example", "gateway": "infra/public", "certificate": certificate}
    op.apply("shut", expose=expose)
    for kind in (HTTP_ROUTE, CERTIFICATE):
        eventually(
            partial(op.get, kind, "shut"),
            f"the {kind.name}",
            seconds=90,
        )
    op.wait("shut", "Ready")

    def condition(kind: Kind, name: str, status: str, reason: str) -> dict[str, Any]:
        return {
            "type": name,
            "status": status,
            "reason": reason,
            "message": "not for you",
            "lastTransitionTime": "2021-01-01T00:00:00Z",
            "observedGeneration": op.find(kind, "shut")["metadata"]["generation"],
        }

    def report(kind: Kind, status: dict[str, Any]) -> None:
        path = kind.path(op.namespace, "shut", "status")
        op.api.request("PATCH", path, {"status": status}, "application/merge-patch+json")

    def route(status: str, reason: str) -> None:
        parent = {
            "parentRef": {"namespace": "infra", "name": "public"},
            "controllerName": "test.example/gateway",
            "conditions": [condition(HTTP_ROUTE, "Accepted", status, reason)],
        }
        report(HTTP_ROUTE, {"parents": [parent]})

    route("False", "NotAllowedByListeners")
    found = op.wait("shut", "Degraded", "True", "RouteRefused")
    assert "NotAllowedByListeners: not for you" in found["message"]
    op.wait("shut", "Ready")
    route("True", "Accepted")
    op.wait("shut", "Degraded", "False")

    report(CERTIFICATE, {"conditions": [condition(CERTIFICATE, "Ready", "False", "DoesNotExist")]})
    found = op.wait("shut", "Degraded", "True", "CertificateMissing")
    assert "DoesNotExist: not for you" in found["message"]
    op.wait("shut", "Ready")
    report(CERTIFICATE, {"conditions": [condition(CERTIFICATE, "Ready", "True", "Ready")]})
    op.wait("shut", "Degraded", "False")


def test_an_absent_kind_is_named_once(op: Ground) -> None:
    op.ready("plain")

    lines = [json.loads(line) for line in op.operator.log.splitlines() if line.startswith("{")]

    def told(message: str) -> Counter[str]:
        return Counter(line["kind"] for line in lines if line["message"] == message)

    # Other tests install these kinds and take them away again, or start the operator anew.
    starts = sum(line["message"] == "leading" for line in lines)
    absent, gone = (
        told("the cluster does not know this kind"),
        told("the cluster no longer knows this kind"),
    )
    assert absent["ServiceMonitor"] >= 1
    assert all(count <= starts + gone[kind] for kind, count in absent.items())
