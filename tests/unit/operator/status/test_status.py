"""What the status says, from what a pass has seen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from breakwater_operator.api.errors import ClusterError, Fault, NotReadyError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.reasons import Reason
from breakwater_operator.api.status import McpServerStatus
from breakwater_operator.status import Facts, Pod, Probe, ServerInfo, conclude
from breakwater_operator.status.facts import Finding, Problem
from breakwater_operator.status.others import due_seconds

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
INFO = ServerInfo("weather", "1.0", ("2026-07-28",), 2)
VERIFIED = Probe(reached=True, revision="r1", live="h1", server=INFO)

Object = dict[str, Any]

JWT = {"issuer": "https://id.example", "audiences": ["crm"]}
REMOTE = {"remote": {"url": "https://mcp.example/mcp"}}


def server(**spec: Any) -> McpServer:
    metadata = {"name": "web", "namespace": "team-a", "uid": "u", "generation": 3}
    backends = [{"python": {"server": "a:b"}}]
    return McpServer.parse({"metadata": metadata, "spec": {"backends": backends} | spec})


def deployment(wanted: int = 2, ready: int = 2, **status: Any) -> Object:
    return {
        "metadata": {"generation": 5},
        "spec": {
            "replicas": wanted,
            "template": {"metadata": {"labels": {"breakwater.dev/revision": "r1"}}},
        },
        "status": {
            "observedGeneration": 5,
            "replicas": wanted,
            "updatedReplicas": wanted,
            "readyReplicas": ready,
            "conditions": [progressing("NewReplicaSetAvailable")],
        }
        | status,
    }


def progressing(reason: str) -> Object:
    return {"type": "Progressing", "status": "True", "reason": reason}


def pod(
    name: str = "web-a-1",
    probe: Probe | None = VERIFIED,
    *,
    ready: bool = True,
    container: Object | None = None,
    **metadata: Any,
) -> Pod:
    return Pod(
        {
            "metadata": {"name": name} | metadata,
            "status": {
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "containerStatuses": [{"name": "runtime"} | (container or {"ready": ready})],
            },
        },
        probe,
    )


HEALTHY = Facts(
    name="web",
    namespace="team-a",
    generation=3,
    now=NOW,
    server=server(),
    deployment=deployment(),
    pods=(pod("web-a-1"), pod("web-a-2")),
    endpoints=2,
    revision="r1",
    live="h1",
    key_secret="web-keys",
)
STARTING = replace(
    HEALTHY,
    deployment=deployment(ready=0, conditions=[progressing("ReplicaSetUpdated")]),
    pods=(pod("web-a-1", None, ready=False), pod("web-a-2", None, ready=False)),
    endpoints=0,
)


AUTOSCALED = server(autoscaling={"min": 2, "max": 9})


def of(revision: str) -> Pod:
    return pod(f"web-a-of-{revision}", labels={"breakwater.dev/revision": revision})


def leaving(number: int) -> Pod:
    return pod(f"web-a-old-{number}", None, deletionTimestamp="now")


def told(facts: Facts) -> dict[str, tuple[str, str]]:
    """The conditions, as status and reason by type."""
    return {
        each["type"]: (each["status"], each["reason"]) for each in conclude(facts)["conditions"]
    }


def message(facts: Facts, kind: str) -> str:
    return str(next(c["message"] for c in conclude(facts)["conditions"] if c["type"] == kind))


def test_a_healthy_server_has_all_six_conditions() -> None:
    assert told(HEALTHY) == {
        "Accepted": ("True", "SpecAccepted"),
        "Available": ("True", "Available"),
        "Verified": ("True", "Verified"),
        "Progressing": ("False", "Complete"),
        "Degraded": ("False", "AsExpected"),
        "Ready": ("True", "Ready"),
    }


def test_the_whole_status_is_one_that_the_definition_describes() -> None:
    status = conclude(HEALTHY)

    described = McpServerStatus.model_validate(status)
    assert described.model_dump(by_alias=True, mode="json", exclude_none=True) == status
    assert status["address"] == {"url": "http://web.team-a.svc:8080/mcp"}
    assert status["selector"] == "breakwater.dev/server=web,breakwater.dev/slot=a"
    assert (status["replicas"], status["readyReplicas"], status["revision"]) == (2, 2, "r1")


def test_an_hour_in_which_nothing_changes_changes_nothing() -> None:
    before = conclude(HEALTHY)

    assert conclude(replace(HEALTHY, previous=before, now=NOW + timedelta(hours=1))) == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            {"deployment": None, "pods": (), "endpoints": 0},
            {
                "Available": ("False", "PodsNotReady"),
                "Verified": ("Unknown", "NotReached"),
                "Progressing": ("True", "RollingOut"),
                "Ready": ("False", "PodsNotReady"),
            },
            id="nothing-yet",
        ),
        pytest.param(
            {"deployment": deployment(ready=1)},
            {
                "Available": ("False", "PodsNotReady"),
                "Progressing": ("False", "Complete"),
                "Ready": ("False", "PodsNotReady"),
            },
            id="one-pod-lost",
        ),
        pytest.param(
            {"deployment": deployment(observedGeneration=4)},
            {"Progressing": ("True", "RollingOut"), "Ready": ("False", "RollingOut")},
            id="just-changed",
        ),
        pytest.param(
            {"deployment": deployment(observedGeneration=4), "pods": (of("r1"), of("r0"))},
            {"Available": ("True", "Available"), "Ready": ("False", "RollingOut")},
            id="just-changed-to-another-revision",
        ),
        pytest.param(
            {
                "deployment": deployment(observedGeneration=4, replicas=3, updatedReplicas=3),
                "pods": (of("r1"), of("r1"), of("r1")),
            },
            {"Progressing": ("True", "RollingOut"), "Ready": ("True", "Ready")},
            id="just-scaled-down",
        ),
        pytest.param(
            {
                "deployment": deployment(4, replicas=2, updatedReplicas=2),
                "server": server(replicas=4),
            },
            {"Available": ("False", "PodsNotReady"), "Ready": ("False", "PodsNotReady")},
            id="scaled-up-by-the-manifest",
        ),
        pytest.param(
            {"deployment": deployment(6, replicas=2, updatedReplicas=2), "server": AUTOSCALED},
            {
                "Available": ("True", "Available"),
                "Progressing": ("True", "RollingOut"),
                "Ready": ("True", "Ready"),
            },
            id="scaled-up-by-load",
        ),
        pytest.param(
            {"deployment": deployment(6, 1), "server": AUTOSCALED},
            {"Available": ("False", "PodsNotReady"), "Ready": ("False", "PodsNotReady")},
            id="fewer-ready-than-load-may-leave",
        ),
        pytest.param(
            {"deployment": deployment(1, 1), "server": AUTOSCALED},
            {"Available": ("False", "PodsNotReady"), "Ready": ("False", "PodsNotReady")},
            id="load-has-yet-to-bring-the-least",
        ),
        pytest.param(
            {
                "deployment": deployment(6, 6, replicas=7, updatedReplicas=3),
                "server": AUTOSCALED,
            },
            {"Available": ("True", "Available"), "Ready": ("False", "RollingOut")},
            id="rolling-while-load-decides",
        ),
        pytest.param(
            {"deployment": deployment(replicas=3, updatedReplicas=1, readyReplicas=2)},
            {
                "Available": ("True", "Available"),
                "Progressing": ("True", "RollingOut"),
                "Ready": ("False", "RollingOut"),
            },
            id="rolling",
        ),
        pytest.param(
            {"deployment": deployment(conditions=[progressing("ProgressDeadlineExceeded")])},
            {"Progressing": ("False", "DeadlineExceeded")},
            id="stuck",
        ),
        pytest.param(
            {"live": "h2"},
            {"Progressing": ("True", "LiveChangePending"), "Ready": ("True", "Ready")},
            id="keys-changed",
        ),
        pytest.param(
            {"pods": (pod(probe=Probe(reached=False, fault="no route")),)},
            {"Verified": ("Unknown", "NotReached"), "Ready": ("True", "Ready")},
            id="out-of-reach",
        ),
        pytest.param(
            {"pods": (pod(), pod("web-a-2", Probe(reached=True, fault="answered 500")))},
            {"Verified": ("False", "HandshakeFailed"), "Ready": ("False", "HandshakeFailed")},
            id="wrong-answer",
        ),
        pytest.param(
            {"endpoints": 0},
            {"Verified": ("Unknown", "NoEndpoints"), "Ready": ("False", "NoEndpoints")},
            id="service-leads-nowhere",
        ),
        pytest.param(
            {"waits": (NotReadyError(Reason.KEY_SECRET_MISSING, "Secret a/b does not exist"),)},
            {
                "Accepted": ("True", "SpecAccepted"),
                "Progressing": ("True", "KeySecretMissing"),
                "Ready": ("False", "KeySecretMissing"),
            },
            id="waiting",
        ),
        pytest.param(
            {"server": None, "faults": (Fault("spec.x", "is wrong"),)},
            {
                "Accepted": ("False", "SpecInvalid"),
                "Available": ("True", "Available"),
                "Ready": ("False", "SpecInvalid"),
            },
            id="invalid-while-the-old-pods-run",
        ),
        pytest.param(
            {"failures": (ClusterError("Deployment a/b: forbidden"),)},
            {
                "Progressing": ("True", "ApplyFailed"),
                "Degraded": ("True", "ApplyFailed"),
                "Ready": ("False", "ApplyFailed"),
            },
            id="refused-by-the-cluster",
        ),
        pytest.param(
            {"problems": (Problem(Reason.NAME_TAKEN, "Service a/b is not ours"),)},
            {"Degraded": ("True", "NameTaken"), "Ready": ("False", "NameTaken")},
            id="name-taken",
        ),
        pytest.param(
            {"pods": (pod(probe=replace(VERIFIED, settings_fault="alice: line 1: not a key")),)},
            {"Degraded": ("True", "SettingsRefused"), "Ready": ("True", "Ready")},
            id="settings-refused",
        ),
        pytest.param(
            {"pods": (pod(probe=replace(VERIFIED, rates_fault="valkey.platform.svc:6379: away")),)},
            {"Degraded": ("True", "SharedRatesAway"), "Ready": ("True", "Ready")},
            id="shared-rates-away",
        ),
        pytest.param(
            {
                "server": server(suspend=True),
                "deployment": deployment(0, 0),
                "pods": (),
                "endpoints": 0,
            },
            {
                "Available": ("True", "Suspended"),
                "Verified": ("Unknown", "Suspended"),
                "Progressing": ("False", "Complete"),
                "Degraded": ("False", "AsExpected"),
                "Ready": ("True", "Suspended"),
            },
            id="suspended",
        ),
        pytest.param(
            {"server": server(replicas=0), "deployment": deployment(0, 0), "pods": ()},
            {"Available": ("True", "ScaledToZero"), "Ready": ("True", "ScaledToZero")},
            id="scaled-to-zero",
        ),
        pytest.param(
            {"is_outdated": True},
            {"Progressing": ("True", "UpgradePending"), "Ready": ("True", "Ready")},
            id="waits-for-its-turn",
        ),
        pytest.param(
            {"pods": (*HEALTHY.pods, *(leaving(number) for number in range(3)))},
            {"Progressing": ("True", "Draining"), "Ready": ("True", "Ready")},
            id="more-pods-drain-than-are-wanted",
        ),
        pytest.param(
            {"pods": (*HEALTHY.pods, *(leaving(number) for number in range(2)))},
            {"Progressing": ("False", "Complete"), "Ready": ("True", "Ready")},
            id="as-many-drain-as-after-any-rollout",
        ),
    ],
)
def test_conditions_follow_the_facts(change: Object, expected: dict[str, tuple[str, str]]) -> None:
    found = told(replace(HEALTHY, **change))

    assert {kind: found[kind] for kind in expected} == expected


@pytest.mark.parametrize(
    ("status", "says"),
    [
        pytest.param(
            {"observedGeneration": 4},
            "2 pods of revision r1 are wanted; the Deployment's controller has yet to act",
            id="just-changed",
        ),
        pytest.param(
            {"replicas": 5, "updatedReplicas": 5, "readyReplicas": 5},
            "3 pods more than wanted are stopping",
            id="scaled-down",
        ),
        pytest.param(
            {"replicas": 3, "readyReplicas": 3},
            "1 pod of older revisions is stopping",
            id="rolled-out-but-for-old-pods",
        ),
        pytest.param({"updatedReplicas": 1}, "1 of 2 pods run revision r1", id="rolling"),
        pytest.param(
            {"conditions": [progressing("ReplicaSetUpdated")], "readyReplicas": 1},
            "1 of 2 pods of revision r1 are ready",
            id="starting",
        ),
    ],
)
def test_what_is_under_way_is_counted(status: Object, says: str) -> None:
    facts = replace(HEALTHY, deployment=deployment(**status))

    assert told(facts)["Progressing"] == ("True", "RollingOut")
    assert message(facts, "Progressing") == says


def ended(message: str = "", code: int = 1, reason: str = "Error") -> Object:
    terminated = {"exitCode": code, "reason": reason, "message": message}
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"}
    return {
        "ready": False,
        "restartCount": 3,
        "state": {"waiting": waiting},
        "lastState": {"terminated": terminated},
    }


def waiting(reason: str, text: str) -> Object:
    state = {"waiting": {"reason": reason, "message": text}}
    return {"ready": False, "image": "r.example/x:1", "restartCount": 0, "state": state}


@pytest.mark.parametrize(
    ("container", "reason", "says"),
    [
        pytest.param(
            waiting("ErrImagePull", "not found"),
            Reason.IMAGE_PULL_FAILED,
            "Pod web-a-1: container runtime: image r.example/x:1 cannot be pulled: not found",
            id="image",
        ),
        pytest.param(
            waiting(
                "ImagePullBackOff",
                'Back-off pulling image "r.example/x:1": ErrImagePull: not found',
            ),
            Reason.IMAGE_PULL_FAILED,
            "Pod web-a-1: container runtime: image r.example/x:1 cannot be pulled: not found",
            id="image-while-kubelet-waits",
        ),
        pytest.param(
            waiting("CreateContainerConfigError", 'secret "crm" not found'),
            Reason.CONTAINER_CONFIG_FAILED,
            'Pod web-a-1: container runtime: secret "crm" not found',
            id="config",
        ),
        pytest.param(
            ended("Traceback\nModuleNotFoundError: No module named 'weather'\n"),
            Reason.CONTAINER_CRASHING,
            "Pod web-a-1: container runtime: ended with exit code 1: Traceback "
            "ModuleNotFoundError: No module named 'weather'",
            id="crash",
        ),
        pytest.param(
            ended(
                '00Z","level":"INFO"}\n{"level":"INFO","message":"up"}\ncannot start: no module x\n'
            ),
            Reason.CONTAINER_CRASHING,
            "Pod web-a-1: container runtime: ended with exit code 1: cannot start: no module x",
            id="words-after-a-log",
        ),
        pytest.param(
            ended('{"level":"ERROR","message":"no disk"}\n'),
            Reason.CONTAINER_CRASHING,
            "Pod web-a-1: container runtime: ended with exit code 1: "
            '{"level":"ERROR","message":"no disk"}',
            id="nothing-but-a-log",
        ),
        pytest.param(
            ended(code=137, reason="OOMKilled"),
            Reason.CONTAINER_CRASHING,
            "Pod web-a-1: container runtime: ended with exit code 137 (OOMKilled); raise its "
            "memory limit",
            id="memory",
        ),
    ],
)
def test_pods_say_in_their_own_words_what_is_wrong(
    container: Object, reason: Reason, says: str
) -> None:
    facts = replace(STARTING, pods=(pod(probe=None, ready=False, container=container),))

    assert told(facts)["Degraded"] == ("True", reason)
    assert message(facts, "Degraded") == says
    assert told(facts)["Ready"] == ("False", reason)
    assert message(facts, "Ready") == f"0 of 2 pods are ready; {says}"


def test_the_scheduler_is_quoted() -> None:
    text = '0/1 nodes are available: persistentvolumeclaim "changes" not found.'
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    waits = Pod(
        {"metadata": {"name": "p"}, "status": {"conditions": [unplaced | {"message": text}]}}
    )

    facts = replace(STARTING, pods=(waits,))

    assert told(facts)["Degraded"] == ("True", "Unschedulable")
    assert message(facts, "Degraded") == f"Pod p: {text}"


@pytest.mark.parametrize(
    ("spec", "is_told"),
    [
        pytest.param({}, True, id="nothing-is-written"),
        pytest.param({"egress": "Internet"}, False, id="internet"),
        pytest.param({"egress": "None"}, False, id="none-on-purpose"),
        pytest.param({"egressRules": [{"cidr": "192.0.2.0/24"}]}, False, id="rules"),
        pytest.param({"backends": [REMOTE]}, False, id="remote"),
    ],
)
def test_who_says_nothing_of_egress_is_told_what_that_means(spec: Object, is_told: bool) -> None:
    facts = replace(HEALTHY, server=server(**spec))

    assert ("write egress: Internet" in message(facts, "Accepted")) is is_told


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        pytest.param({"access": {"jwt": JWT}}, "the issuer of access.jwt too", id="issuer"),
        pytest.param({"backends": [REMOTE]}, "remote backends too", id="remote"),
        pytest.param(
            {"access": {"jwt": JWT}, "backends": [REMOTE]},
            "the issuer of access.jwt and remote backends too",
            id="both",
        ),
    ],
)
def test_what_no_egress_closes_besides_is_told(spec: Object, says: str) -> None:
    closed = replace(HEALTHY, server=server(egress="None", **spec))
    rules = [{"cidr": "192.0.2.0/24"}]
    opened = replace(HEALTHY, server=server(egress="None", egressRules=rules, **spec))

    assert f"None closes the way to {says}" in message(closed, "Accepted")
    assert message(opened, "Accepted") == "the manifest is valid"


def test_a_quota_is_quoted_without_the_pods_random_name() -> None:
    def refused(name: str) -> Facts:
        text = f'pods "{name}" is forbidden: exceeded quota: small'
        failure = {"type": "ReplicaFailure", "status": "True", "message": text}
        return replace(STARTING, pods=(), deployment=deployment(ready=0, conditions=[failure]))

    first, second = refused("web-a-6bd8f-x2x4z"), refused("web-a-6bd8f-qq7bn")

    assert told(first)["Degraded"] == ("True", "PodsRefused")
    assert message(first, "Degraded") == (
        'pods cannot be made: pods "web-a-6bd8f-*" is forbidden: exceeded quota: small'
    )
    assert conclude(first) == conclude(second)


def test_a_quota_that_leaves_no_replica_set_is_quoted_too() -> None:
    text = 'Failed to create new replica set "web-a-6bd8f": exceeded quota: small'
    late = {"type": "Progressing", "status": "False", "reason": "ReplicaSetCreateError"}
    conditions = [late | {"message": text}]

    facts = replace(STARTING, pods=(), deployment=deployment(ready=0, conditions=conditions))

    assert told(facts)["Degraded"] == ("True", "PodsRefused")
    assert message(facts, "Degraded") == f"pods cannot be made: {text}"


def test_a_server_that_was_never_acceptable_counts_no_pods() -> None:
    faults = (Fault("spec.expose", "write a host"),)
    facts = replace(HEALTHY, server=None, faults=faults, deployment=None, pods=(), endpoints=0)

    assert told(facts)["Available"] == ("False", "PodsNotReady")
    assert message(facts, "Available").startswith("no pods have been made")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(0, ("True", "Suspended"), id="none-stands"),
        pytest.param(2, ("False", "PodsNotReady"), id="some-are-wanted-by-now"),
    ],
)
def test_who_was_suspended_is_so_while_a_later_manifest_is_refused(
    wanted: int, expected: tuple[str, str]
) -> None:
    asleep = replace(
        HEALTHY, server=server(suspend=True), deployment=deployment(0, 0), pods=(), endpoints=0
    )
    faults = (Fault("spec.expose", "write a host"),)

    found = replace(
        asleep,
        server=None,
        faults=faults,
        deployment=deployment(wanted, 0),
        previous=conclude(asleep),
    )

    assert told(found)["Available"] == expected


def test_a_pod_that_is_starting_is_not_degraded() -> None:
    assert told(STARTING)["Degraded"] == ("False", "AsExpected")


def test_a_pod_that_recovered_is_not_degraded() -> None:
    recovered = pod(container=ended() | {"ready": True, "state": {"running": {}}})

    assert told(replace(HEALTHY, pods=(recovered,)))["Degraded"] == ("False", "AsExpected")


@pytest.mark.parametrize(
    ("of_pods", "said"),
    [
        pytest.param((None, None), None, id="older-runtimes"),
        pytest.param((0, 0), 0, id="none"),
        pytest.param((40, 59), 99, id="exact"),
        pytest.param((40, 61), 100, id="two-digits"),
        pytest.param((12_000, 999), 12_000, id="round"),
        pytest.param((7, None), 7, id="one-says-it"),
    ],
)
def test_sessions_are_counted_over_the_pods_in_round_numbers(
    of_pods: tuple[int | None, ...], said: int | None
) -> None:
    pods = [pod(f"web-a-{n}", replace(VERIFIED, sessions=of)) for n, of in enumerate(of_pods)]

    assert conclude(replace(HEALTHY, pods=tuple(pods))).get("sessions") == said


def test_a_pod_that_was_told_to_stop_is_not_asked() -> None:
    leaving = pod("web-a-0", Probe(reached=True, fault="x"), deletionTimestamp="now")

    assert told(replace(HEALTHY, pods=(leaving, *HEALTHY.pods)))["Verified"][0] == "True"


@pytest.mark.parametrize(
    ("is_paused", "says"),
    [(False, "spec.access.keys.secretName are withdrawn"), (True, "no key withdrawn")],
)
def test_a_refused_manifest_says_what_is_not_done_meanwhile(is_paused: bool, says: str) -> None:
    faults = (Fault("spec.expose", "write a host"),)

    status = conclude(replace(HEALTHY, server=None, faults=faults, is_paused=is_paused))

    message = next(c["message"] for c in status["conditions"] if c["type"] == "Progressing")
    assert "no drift is repaired" in message
    assert says in message


def test_what_a_pass_did_not_see_stays_as_it_was() -> None:
    before = conclude(HEALTHY)

    after = conclude(
        replace(
            HEALTHY,
            server=None,
            faults=(Fault("spec", "is wrong"),),
            pods=(),
            revision=None,
            key_secret=None,
            previous=before,
        )
    )

    kept = ("address", "keys", "revision", "server")
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}


@pytest.mark.parametrize("probe", [VERIFIED, replace(VERIFIED, server=None, fault="garbage")])
def test_what_a_server_was_found_to_be_stays_until_a_new_operator_has_asked_it(
    probe: Probe,
) -> None:
    before = conclude(replace(HEALTHY, pods=(pod(probe=probe),)))
    (said,) = (one for one in before["conditions"] if one["type"] == "Verified")
    restarted = replace(HEALTHY, pods=(pod(probe=None),), previous=before)
    asked = replace(restarted, pods=(pod(probe=Probe(reached=False, fault="no route")),))
    new = replace(restarted, previous={})

    assert said in conclude(restarted)["conditions"]
    assert told(asked)["Verified"] == told(new)["Verified"] == ("Unknown", "NotReached")


def test_what_a_server_says_of_itself_is_cut_to_what_a_status_takes() -> None:
    boastful = ServerInfo("n" * 5000, "v" * 5000, ("p" * 500,) * 50, 1)
    facts = replace(HEALTHY, pods=(pod(probe=replace(VERIFIED, server=boastful)),))

    McpServerStatus.model_validate(conclude(facts))
    assert len(message(facts, "Verified")) < 200


@pytest.mark.requirement("W7")
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("BackendExposed", Reason.BACKEND_EXPOSED),
        ("BackendCrashing", Reason.BACKEND_CRASHING),
        ("BackendUnreachable", Reason.BACKEND_UNREACHABLE),
        ("BackendHandshakeFailed", Reason.BACKEND_HANDSHAKE_FAILED),
        ("BackendToolsMissing", Reason.BACKEND_TOOLS_MISSING),
        ("BackendToolsClash", Reason.BACKEND_TOOLS_CLASH),
        ("OfALaterRuntime", Reason.BACKEND_FAILED),
        ("", Reason.BACKEND_FAILED),
    ],
)
def test_what_a_pod_finds_out_about_a_backend_degrades_the_server(
    said: str, reason: Reason
) -> None:
    probe = replace(VERIFIED, server=None, findings=(Finding("crm", said, "it is open"),))

    facts = replace(HEALTHY, pods=(pod("web-a-1", probe, ready=False),))

    assert told(facts)["Degraded"] == ("True", reason)
    assert message(facts, "Degraded") == "Pod web-a-1: backend crm: it is open"


def test_a_backend_that_starts_is_nothing_wrong() -> None:
    probe = replace(VERIFIED, server=None, findings=(Finding("crm", "BackendStarting", "wait"),))

    facts = replace(HEALTHY, pods=(pod("web-a-1", probe, ready=False),))

    assert told(facts)["Degraded"][0] == "False"


PAUSED = replace(HEALTHY, paused_until=NOW + timedelta(hours=1))


def test_a_paused_server_says_until_when_and_is_otherwise_as_it_is() -> None:
    found = {one["type"]: one for one in conclude(PAUSED)["conditions"]}

    assert (found["Progressing"]["status"], found["Progressing"]["reason"]) == ("True", "Paused")
    assert "nothing is written until 2026-01-31T13:00:00Z" in found["Progressing"]["message"]
    assert "breakwater.dev/paused-until" in found["Progressing"]["message"]
    before = {one["type"]: one for one in conclude(HEALTHY)["conditions"]}
    assert {kind: one for kind, one in found.items() if kind != "Progressing"} == {
        kind: one for kind, one in before.items() if kind != "Progressing"
    }


def test_a_paused_server_whose_manifest_was_changed_is_not_ready() -> None:
    facts = replace(PAUSED, server=None, is_held_back=True, previous={"address": {"url": "before"}})

    status = conclude(facts)

    ready = next(one for one in status["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Paused")
    assert ready["message"].startswith("the manifest was changed, and nothing is written until")
    assert status["address"] == {"url": "before"}


def autoscaler(
    kind: str = "ScalingActive",
    status: str = "False",
    seconds: int = 301,
    reason: str = "FailedGetResourceMetric",
) -> Object:
    since = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"reason": reason, "message": "no metrics-server"}
    condition = {"type": kind, "status": status, "lastTransitionTime": since, **said}
    metadata = {"name": "web-a", "namespace": "team-a"}
    return {"metadata": metadata, "status": {"conditions": [condition]}}


def route(
    kind: str = "Accepted", status: str = "False", seconds: int = 11, generation: int = 2
) -> Object:
    since = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"reason": "NotAllowedByListeners", "message": "other namespaces only"}
    condition: Object = {"type": kind, "status": status, "lastTransitionTime": since, **said}
    condition["observedGeneration"] = generation
    parent = {"name": "public", "namespace": "infra"}
    return {
        "metadata": {"name": "web", "namespace": "team-a", "generation": 2},
        "status": {"parents": [{"parentRef": parent, "conditions": [condition]}]},
    }


def unseen(seconds: int = 301) -> Object:
    since = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": "web", "namespace": "team-a", "creationTimestamp": since}
    parent = {"name": "public", "namespace": "infra"}
    return {"metadata": metadata, "spec": {"parentRefs": [parent]}}


def certificate(seconds: int = 601, generation: int = 1) -> Object:
    since = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition: Object = {"type": "Ready", "status": "False", "lastTransitionTime": since}
    condition |= {"reason": "DoesNotExist", "message": "no such issuer"}
    condition["observedGeneration"] = generation
    metadata = {"name": "web", "namespace": "team-a", "generation": 1}
    return {"metadata": metadata, "status": {"conditions": [condition]}}


@pytest.mark.parametrize(
    ("found", "reason", "says"),
    [
        pytest.param(
            {"certificate": certificate()},
            "CertificateMissing",
            "cert-manager has no certificate for Certificate team-a/web: DoesNotExist: no such "
            "issuer; correct spec.expose.certificate",
            id="certificate",
        ),
        pytest.param(
            {"autoscaler": autoscaler()},
            "AutoscalerFailed",
            "HorizontalPodAutoscaler team-a/web-a cannot scale the pods: FailedGetResourceMetric: "
            "no metrics-server; mend that",
            id="no-metrics",
        ),
        pytest.param(
            {"autoscaler": autoscaler("AbleToScale")}, "AutoscalerFailed", "cannot", id="unable"
        ),
        pytest.param(
            {"route": route()},
            "RouteRefused",
            "Gateway infra/public does not lead to the server: NotAllowedByListeners: other "
            "namespaces only; correct spec.expose, or have the Gateway's owner admit HTTPRoute "
            "team-a/web",
            id="route",
        ),
        pytest.param({"route": route("ResolvedRefs")}, "RouteRefused", "infra/public", id="refs"),
        pytest.param(
            {"route": unseen()},
            "RouteRefused",
            "no Gateway has said a word of HTTPRoute team-a/web: see that Gateway infra/public "
            "exists",
            id="no-gateway",
        ),
    ],
)
def test_what_keeps_others_from_their_part_degrades_a_server_that_serves(
    found: Object, reason: str, says: str
) -> None:
    facts = replace(HEALTHY, **found)

    assert told(facts)["Degraded"] == ("True", reason)
    assert says in message(facts, "Degraded")
    assert told(facts)["Ready"] == ("True", "Ready")


def test_who_leaves_out_what_a_condition_need_not_say_is_understood() -> None:
    made, old = certificate(), route()
    (condition,) = made["status"]["conditions"]
    del condition["lastTransitionTime"], condition["observedGeneration"]
    made["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    del old["status"]["parents"][0]["parentRef"]["namespace"]

    assert told(replace(HEALTHY, certificate=made))["Degraded"] == ("True", "CertificateMissing")
    assert "Gateway team-a/public" in message(replace(HEALTHY, route=old), "Degraded")


@pytest.mark.parametrize(
    ("found", "due"),
    [
        pytest.param({"autoscaler": autoscaler(seconds=200)}, 100, id="starts"),
        pytest.param({"autoscaler": autoscaler(status="True")}, None, id="scales"),
        pytest.param({"autoscaler": autoscaler("ScalingLimited")}, None, id="limited"),
        pytest.param({"autoscaler": autoscaler(reason="ScalingDisabled")}, None, id="no-pods"),
        pytest.param({"autoscaler": {"metadata": {}}}, None, id="nobody-looked-yet"),
        pytest.param({"certificate": certificate(seconds=580)}, 20, id="being-made"),
        pytest.param({"certificate": certificate(generation=0)}, None, id="about-an-older-one"),
        pytest.param({"route": route(seconds=4)}, 6, id="just-made"),
        pytest.param({"route": route(generation=1)}, None, id="about-an-older-route"),
        pytest.param({"route": route(status="True")}, None, id="accepted"),
        pytest.param({"route": unseen(seconds=280)}, 20, id="no-gateway-looked-yet"),
    ],
)
def test_what_passes_by_itself_is_not_told(found: Object, due: float | None) -> None:
    facts = replace(HEALTHY, **found)

    assert told(facts)["Degraded"] == ("False", "AsExpected")
    assert due_seconds(facts) == due


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(None, ("True", "LiveChangePending"), id="new"),
        pytest.param(("True", 3), ("True", "LiveChangePending"), id="under-way"),
        pytest.param(("False", 2), ("True", "LiveChangePending"), id="changed"),
        pytest.param(("False", 3), ("False", "Complete"), id="done-and-the-operator-is-new"),
    ],
)
def test_a_change_is_done_once_every_ready_pod_was_asked(
    before: tuple[str, int] | None, expected: tuple[str, str]
) -> None:
    previous = {"conditions": [was_progressing(*before)]} if before else {}
    late = (pod("web-a-1"), pod("web-a-2", None))
    starting = (pod("web-a-1"), pod("web-a-2", None, ready=False))

    assert told(replace(HEALTHY, previous=previous, pods=late))["Progressing"] == expected
    found = told(replace(HEALTHY, previous=previous, pods=starting))
    assert found["Progressing"] == ("False", "Complete")


def was_progressing(status: str, generation: int) -> Object:
    return {
        "type": "Progressing",
        "status": status,
        "observedGeneration": generation,
        "reason": "RollingOut",
        "message": "",
        "lastTransitionTime": "2026-01-31T08:00:00Z",
    }


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        pytest.param(
            (pod("web-a-1", None, ready=False), pod("web-a-2")),
            ("True", "BackendUnreachable"),
            id="not-asked-yet",
        ),
        pytest.param(
            (pod("web-a-1"), pod("web-a-2", None)), ("False", "AsExpected"), id="it-is-well-now"
        ),
        pytest.param((pod("web-a-2", None),), ("False", "AsExpected"), id="it-is-gone"),
    ],
)
def test_what_a_pod_said_is_repeated_until_it_was_asked_again(
    pods: tuple[Pod, ...], expected: tuple[str, str]
) -> None:
    finding = Finding("main", "BackendUnreachable", "nobody listens")
    ill = pod("web-a-1", replace(VERIFIED, findings=(finding,)), ready=False)
    before = conclude(replace(HEALTHY, pods=(ill, pod("web-a-2"))))

    found = told(replace(HEALTHY, previous=before, pods=pods))

    assert found["Degraded"] == expected
