"""What becomes of servers when the platform's owner configures the operator otherwise."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import DEPLOYMENT, SERVICE_MONITOR
from dev.cluster.api import ApiError
from tests.support.cluster import eventually
from tests.support.optional_kinds import complete_ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster import RunningCluster
    from tests.support.operator_ground import Ground

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
SECONDS = 120


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with complete_ground(control_plane, tmp_path_factory, "configured") as made:
        yield made


def configure(op: Ground, **platform: Any) -> int:
    """Have the operator configured otherwise; return how many requests were seen before."""
    op.operator.stop()
    before = len(op.proxy.seen)
    op.operator.platform = platform
    op.operator.start()
    op.operator.wait_ready()
    op.quiet(2.0)
    return before


def generation(op: Ground, server: str) -> int:
    return int(op.find(DEPLOYMENT, f"{server}-a")["metadata"]["generation"])


def is_labelled(op: Ground, labels: dict[str, str]) -> bool:
    found = op.find(SERVICE_MONITOR, "labelled")["metadata"]["labels"]
    return {key: found[key] for key in ("release", "team", "theirs") if key in found} == labels


def test_labels_of_monitors_come_and_go_with_the_configuration(op: Ground) -> None:
    op.ready("labelled")
    # A kind that is new is looked for every half a minute.
    eventually(lambda: op.get(SERVICE_MONITOR, "labelled"), "there is a monitor", seconds=90)
    op.patch(SERVICE_MONITOR, "labelled", {"metadata": {"labels": {"theirs": "x"}}})
    op.quiet()
    for asked in ({"release": "prometheus", "team": "sre"}, {"team": "sre"}, {}):
        configure(op, monitoring={"labels": asked})
        eventually(partial(is_labelled, op, asked | {"theirs": "x"}), f"its labels are {asked}")
        op.settled()

        before = configure(op, monitoring={"labels": asked})
        assert op.proxy.writes(before) == []


def test_a_default_that_kept_pods_from_being_made_is_mended_where_it_did(op: Ground) -> None:
    op.ready("steady")
    op.ready("changed")
    op.limit("limits.memory", "20Gi", "room")
    configure(op, resources={"limits": {"memory": "900Gi"}})
    op.apply("fresh")
    op.apply("changed", runtime={"image": "breakwater.local/own:1"})
    for server in ("fresh", "changed"):
        op.wait(server, "Degraded", "True", "PodsRefused")
    before = generation(op, "steady")

    configure(op)

    for server in ("fresh", "changed"):
        op.wait(server, "Ready", seconds=SECONDS)
        op.wait(server, "Progressing", "False", seconds=SECONDS)
    assert generation(op, "steady") == before
    op.settled()
    again = configure(op)
    assert op.proxy.writes(again) == []
    assert generation(op, "steady") == before


def test_a_default_that_somebody_refused_is_mended_where_it_was(op: Ground) -> None:
    wrong = {"images": {"runtime": "wrong.local/runtime:1"}}
    op.ready("before")
    with refused(op, "before", "wrong.local/"):
        configure(op, **wrong)
        op.apply("new")
        op.apply("before", pod={"labels": {"team": "x"}})
        for server in ("new", "before"):
            op.wait(server, "Degraded", "True", "ApplyFailed")

        configure(op)

        for server in ("new", "before"):
            op.wait(server, "Ready", seconds=SECONDS)
            op.wait(server, "Progressing", "False", seconds=SECONDS)
        op.settled()
        again = configure(op)
        assert op.proxy.writes(again) == []


@contextmanager
def refused(op: Ground, server: str, registry: str) -> Iterator[None]:
    """Have the API server refuse Deployments with images of a registry, as policies do."""
    image = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": registry}
    rules = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
    expression = f"object.spec.template.spec.containers.all(c, !c.image.startsWith('{registry}'))"
    selector = {"matchLabels": {"kubernetes.io/metadata.name": op.namespace}}
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": selector,
            "resourceRules": [rules | {"operations": ["CREATE", "UPDATE"]}],
        },
        "validations": [{"expression": expression}],
    }
    bound = {"policyName": op.namespace, "validationActions": ["Deny"]}
    made = [("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", bound)]
    for plural, spec in made:
        op.api.create(f"{ADMISSION}/{plural}", {"metadata": {"name": op.namespace}, "spec": spec})

    def is_refused() -> bool:
        try:
            op.patch(DEPLOYMENT, f"{server}-a", [image], is_tried=True)
        except ApiError:
            return True
        return False

    try:
        eventually(is_refused, "the policy holds", seconds=60)
        yield
    finally:
        for plural, _ in reversed(made):
            op.api.delete(f"{ADMISSION}/{plural}/{op.namespace}")
