"""Whatever was done to a server: it ends as one that was just made with the same manifest."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from breakwater_operator.api.errors import SpecError
from breakwater_operator.api.reasons import Reason
from breakwater_operator.kube.kinds import CHILDREN, CLAIM, CONFIG_MAP, MCP_SERVER, SECRET
from dev.cluster.api import ApiError
from tests.support.faultproxy import Rule, Seen
from tests.support.life import differences
from tests.support.operator_ground import Ground, said
from tests.support.optional_kinds import complete_ground
from tests.support.rendered import faults, known, owned, rendered
from tests.support.rig.proof import Proof, source_of_operator
from tests.support.specs import RIGHT, servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from breakwater_operator.kube.kinds import Kind
    from tests.support.cluster import RunningCluster

SERVERS = ("one", "two", "three")
QUIET_SECONDS = 2.0
PATIENCE_SECONDS = 180.0
STEPS = 10

Object = dict[str, Any]


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """An operator in a cluster that knows all kinds, and some objects that manifests name."""
    with complete_ground(control_plane, tmp_path_factory, "histories") as made:
        made.create(SECRET, "keys", stringData={"value": "a key", "0": "another one"})
        made.create(CONFIG_MAP, "keys", data={"value": "a text", "_a.B-c": "another one"})
        # Where one is missing, or is of one pod, what the manifest before asked for goes on.
        for name in RIGHT["claimName"]:
            resources = {"requests": {"storage": "1Mi"}}
            made.create(
                CLAIM, name, spec={"accessModes": ["ReadWriteMany"], "resources": resources}
            )
        yield made


def tamed(server: Object) -> Object:
    """Take from a made-up manifest what costs thousands of pods, or belongs to another operator."""
    spec: Object = server["spec"]
    spec.pop("operatorClass", None)
    if "replicas" in spec:
        spec["replicas"] = min(spec["replicas"], 2)
    if "autoscaling" in spec:
        spec["autoscaling"] |= {"min": 1, "max": 2}
    return spec


SPECS = servers(wrong=st.just(0)).map(tamed)
WHICH = st.sampled_from(SERVERS)
FAULTS = st.sampled_from(
    [
        {"status": 409, "reason": "Conflict"},
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"status": 500},
        {"status": 0},
        {"status": 0, "is_after": True},
    ]
)


def is_request(seen: Seen) -> bool:
    """Anything but a watch and the Lease."""
    return not seen.is_watch and seen.plural != "leases"


class Histories(RuleBasedStateMachine):
    """Three servers, and what users, bystanders and the cluster do to them.

    Their names hold a number that no other run has; a twin is made in the end with the last
    manifest, and both have to be the same.
    """

    op: Ground
    optional: tuple[Kind, ...]
    numbers = itertools.count(1)
    count: Counter[str]

    def __init__(self) -> None:
        """Begin with no server."""
        super().__init__()
        self.number = next(self.numbers)
        self.specs: dict[str, Object] = {}

    @initialize(specs=st.tuples(SPECS, SPECS, SPECS))
    def begin(self, specs: tuple[Object, ...]) -> None:
        """Make all servers."""
        for which, spec in zip(SERVERS, specs, strict=True):
            self.write(which, spec)

    @rule(which=WHICH, spec=SPECS)
    def write(self, which: str, spec: Object) -> None:
        """Make a server, or give it another manifest."""
        if self._applied(self._name(which), spec):
            self.specs[which] = spec
            self.count["manifests"] += 1

    @rule(which=WHICH, pick=st.integers(0, 999), is_deleted=st.booleans())
    def meddle(self, which: str, pick: int, is_deleted: bool) -> None:
        """Edit or delete a child that is there."""
        children = sorted(owned(self.op, self._name(which), self.optional).items())
        if not children:
            return
        (title, name), live = children[pick % len(children)]
        kind = next(kind for kind in (*CHILDREN, *self.optional) if kind.name == title)
        try:
            if is_deleted:
                self.op.delete(kind, name)
            elif title == "Deployment":
                self.op.patch(kind, name, {"spec": {"replicas": 3, "paused": True}})
            else:
                labels = {"breakwater.dev/server": "other", "theirs": "x"}
                part = {name: None for name in live.get("data", {}) if title == "Secret"}
                more = {"data": part} if part else {}
                self.op.patch(kind, name, {"metadata": {"labels": labels}, **more})
        except ApiError as error:
            # The operator may just have taken it away.
            if error.status != 404:
                raise
        self.count["children meddled with"] += 1

    @rule(which=WHICH)
    def delete(self, which: str) -> None:
        """Delete a server; the next manifest makes one of the same name."""
        if self.specs.pop(which, None) is not None:
            self.op.delete(MCP_SERVER, self._name(which))
            self.count["servers deleted"] += 1

    @rule()
    def kill(self) -> None:
        """Kill the operator, and start it again."""
        self.op.operator.kill()
        self.op.operator.start()
        self.count["kills"] += 1

    @rule()
    def cut(self) -> None:
        """Cut every watch."""
        self.op.proxy.cut_watches()
        self.count["cuts"] += 1

    @rule(fault=FAULTS, every=st.integers(1, 3))
    def fail(self, fault: Object, every: int) -> None:
        """Fail the next requests."""
        self.op.proxy.rules.append(Rule(is_request, times=3, every=every, **fault))
        self.count["faults"] += 3

    @rule()
    def rest(self) -> None:
        """Wait until everything is as it should be, and stays so."""
        self._rest(self.specs)

    def teardown(self) -> None:
        """Make the twins, and hold them against the servers."""
        try:
            self._rest(self.specs)
            twins = {which: f"{which}-new" for which in self.specs}
            for which, twin in twins.items():
                assert self._applied(self._name(twin), self.specs[which])
            self._rest([*twins, *twins.values()])
            for which, twin in twins.items():
                self._compare(which, twin)
        finally:
            self.op.proxy.rules.clear()
            for which in SERVERS:
                for name in (self._name(which), self._name(f"{which}-new")):
                    self.op.api.delete(MCP_SERVER.path(self.op.namespace, name))

    def _name(self, which: str) -> str:
        # As long as its twin's, so that nothing is cut or sorted otherwise.
        name, _, is_new = which.partition("-")
        return f"{name}-{self.number:04}-{is_new or 'old'}"

    def _applied(self, name: str, spec: Object) -> bool:
        if "expose" in spec:
            # Another server of the same host would be told that it is taken.
            spec = spec | {"expose": spec["expose"] | {"host": f"{name}.example"}}
        try:
            self.op.apply(name, **spec)
        except ApiError as error:
            # Not everything that is made up is accepted.
            if error.status != 422:
                raise
            return False
        return True

    def _rest(self, which: Any) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            # Whoever is refused when kopf asks what there is ends, and is started again.
            self.op.operator.revive()
            self.op.quiet(QUIET_SECONDS)
            wrong = [fault for one in which for fault in self._wrong(self._name(one))]
            if not wrong:
                break
            if time.monotonic() > end:
                print(self.op.operator.log[-4000:])  # noqa: T201 - for who reads the failure
                pytest.fail(f"after {PATIENCE_SECONDS:g} s: {wrong}", pytrace=False)
        self.op.proxy.rules.clear()
        self.count["times that all was quiet"] += 1

    def _wrong(self, name: str) -> list[str]:
        server = self.op.server(name)
        if server is None or "status" not in server:
            return [f"{name} has no status"]
        seen, is_now = server["status"]["observedGeneration"], server["metadata"]["generation"]
        if seen != is_now:
            return [f"{name}: generation {seen} was observed, {is_now} is there"]
        if self.op.condition(name, "Accepted")["status"] == "False":
            with pytest.raises(SpecError):
                rendered(self.op, name, self.optional)
            return []
        return faults(self.op, name, self.optional)

    def _compare(self, which: str, twin: str) -> None:
        if self.op.condition(self._name(which), "Accepted")["status"] == "False":
            # What the manifest before it asked for is kept.
            self.count["manifests that are not accepted in the end"] += 1
            return
        end = time.monotonic() + PATIENCE_SECONDS
        while (found := self._differences(which, twin)) and time.monotonic() < end:
            # What pods and others say of the newer one may come a little later.
            time.sleep(0.5)
        assert found == [], json.dumps(self.specs[which])
        self.count["servers compared"] += 1

    def _differences(self, which: str, twin: str) -> list[str]:
        return differences(
            told(self.op, self._name(which), self.optional),
            told(self.op, self._name(twin), self.optional),
        )


def told(op: Ground, name: str, optional: tuple[Kind, ...]) -> Object:
    """What a server's children and conditions say, without what is random or a name."""
    server = op.find(MCP_SERVER, name)
    revision = server["status"].get("revision", "no revision")
    children = {
        " ".join(what): plain(live)
        for what, live in owned(op, name, optional).items()
        if what[0] != "ControllerRevision" or what[1].endswith(revision)
    }
    if f"HorizontalPodAutoscaler {name}-a" in children:
        # How many there are is the autoscaler's; that there are some is ours.
        spec = children[f"Deployment {name}-a"]["spec"]
        spec["replicas"] = spec["replicas"] > 0
    conditions = {
        one["type"]: (one["status"], one["reason"])
        for one in server["status"]["conditions"]
        if one["type"] in {"Accepted", "Degraded"}
    }
    if conditions["Degraded"][1] == Reason.AUTOSCALER_FAILED:
        # Nobody gives an autoscaler metrics here, and it is complained of after five minutes.
        conditions["Degraded"] = ("False", Reason.AS_EXPECTED)
    text = json.dumps({"children": children, "conditions": conditions})
    for word, what in ((server["metadata"]["uid"], "uid"), (name, "name"), (revision, "revision")):
        text = text.replace(word, what)
    found: Object = json.loads(text)
    return found


def plain(live: Object) -> Object:
    """A child without what is random, and what the cluster gave it."""
    child = said(live)
    child["metadata"].get("labels", {}).pop("theirs", None)
    if child["kind"] == "Secret":
        child["data"] = sorted(child["data"])
        child["metadata"].get("annotations", {}).pop("breakwater.dev/generated", None)
    if child["kind"] == "Service":
        for given in ("clusterIP", "clusterIPs"):
            child["spec"][given] = child["spec"][given] == "None"
    if child["kind"] == "ControllerRevision":
        del child["revision"], child["data"]["number"]
        for source in child["data"].get("sources", ()):
            del source["hash"]
    return child


def run(op: Ground, *, examples: int) -> Counter[str]:
    """Live some histories; say what happened in them."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        # Making a history shorter takes as long as living it again, dozens of times.
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )

    class Here(Histories):
        pass

    Here.op, Here.optional, Here.count = op, known(op), Counter()
    run_state_machine_as_test(Here, settings=chosen)
    return Here.count


def test_a_server_is_the_same_whatever_was_before(op: Ground) -> None:
    count = run(op, examples=3)

    assert count["servers compared"] >= 1
    assert count["times that all was quiet"] >= 6


@pytest.mark.prove
def test_a_server_is_the_same_whatever_was_before_often(op: Ground, share: float) -> None:
    proof = Proof("histories", max(1, int(200 * share)), part=5, source=source_of_operator())

    for _ in proof.parts():
        proof.keep(dict(run(op, examples=proof.part)))

    count: Counter[str] = sum(map(Counter, proof.done), Counter())
    proof.write(
        "The operator after any history",
        "Three servers get manifests that hypothesis makes up, one after the other; their children "
        "are edited and deleted, they are deleted and made again, the operator is killed, its "
        "watches are cut, its requests fail. In the end children are as rendered from what the API "
        "server has, the newest generation is observed, nothing is written for 2 s, and a server "
        "that is made anew with the last manifest has the same children. Generated keys and what "
        "hangs on a server's uid are left out of the comparison.",
        {"histories": proof.total, **dict(sorted(count.items()))},
    )
