"""A life that an operator may be put through: five servers made, changed, broken, mended, deleted.

Whatever disturbs it, it ends as an undisturbed one does, and the same was made and deleted.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from breakwater_contract.names import SERVER_LABEL
from breakwater_operator.kube.kinds import (
    CLAIM,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    MCP_SERVER,
    SECRET,
    SERVICE,
)
from tests.support.cluster import RunningCluster, eventually
from tests.support.operator_ground import Ground, ground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.support.faultproxy import Seen

ROOT = Path(__file__).parents[2]

Object = dict[str, Any]

SURVIVORS = ("one", "two", "three")
GONE = ("four", "five")
SERVERS = (*SURVIVORS, *GONE)
QUIET_SECONDS = 2.0
LIVES_AT_ONCE = 3
"""How many lives a sweep lives side by side. Each has a namespace, an operator and a proxy of its
own, and mostly waits."""
PATIENCE_SECONDS = 120
"""How long a disturbed operator may take for one act."""


@dataclass(frozen=True)
class End:
    """What was there in the end, and what had been done until then."""

    state: Object
    created: Counter[str]
    deleted: Counter[str]
    again: int
    """Applies that said just what the one before had said."""
    statuses_again: int


class Life:
    """The acts, in order. Each is over when the operator has done its part."""

    def __init__(self, op: Ground) -> None:
        """Begin with nothing.

        Args:
            op: Where it is lived.
        """
        self.op = op
        self.specs: dict[str, Object] = {
            "one": {},
            "two": {
                "autoscaling": {"max": 5},
                "expose": {"host": "two.example", "ingressClassName": "nginx"},
            },
            "three": {"access": {"keys": {"secretName": "own"}}},
            "four": {"runtime": {"image": "registry.example/four:1"}},
            "five": {},
        }

    def live(self) -> None:
        """Live it from beginning to end."""
        for act in (self.create, self.edit, self.scale, self.spoil, self.mend, self.delete):
            act()
        self.op.quiet(QUIET_SECONDS)

    def create(self) -> None:
        """Make all servers at once."""
        self.op.create(SECRET, "own", stringData={"crm": "a secret key", "other": "another one"})
        for name in SERVERS:
            self._apply(name)
        self._settle(*SERVERS)

    def edit(self) -> None:
        """Change what restarts pods, what they take over, and what they never see."""
        self._apply("one", runtime={"image": "registry.example/one:2"})
        self._apply("two", limits={"requestsPerMinute": {"principal": 60}})
        self.op.patch(SECRET, "own", {"stringData": {"crm": "a new key"}})
        self._apply("four", expose={"host": "four.example", "ingressClassName": "nginx"})
        self._apply("five", access={"keys": {"secretName": "own"}})
        self._settle(*SERVERS)
        eventually(lambda: self.op.get(SECRET, "five-keys") is None, "it is pruned", seconds=60)

    def scale(self) -> None:
        """Change how many pods there are, in every way there is."""
        self._apply("one", replicas=3)
        self._apply("two", autoscaling=None, replicas=1)
        self._apply("five", suspend=True)
        self._settle(*SERVERS)

    def spoil(self) -> None:
        """Make mistakes, as users and bystanders do."""
        self._apply("three", access={"keys": {"secretName": "nobody-made-it"}})
        claim = {"name": "data", "persistentVolumeClaim": {"claimName": "alone"}}
        self.op.create(
            CLAIM,
            "alone",
            spec={
                "accessModes": ["ReadWriteOncePod"],
                "storageClassName": "",
                "resources": {"requests": {"storage": "1Mi"}},
            },
        )
        before = self._revisions("four")
        self._apply("four", pod={"volumes": [claim]})
        self._wait("three", "Progressing", "True", "KeySecretMissing")
        self._wait("four", "Accepted", "False")
        self.op.delete(SERVICE, "two")
        self.op.patch(DEPLOYMENT, "one-a", {"spec": {"replicas": 7}})
        eventually(lambda: self.op.get(SERVICE, "two") is not None, "it is back", seconds=60)
        self._is("one", 3)
        # What ran before keeps running.
        assert self._revisions("four") == before
        self._is("four", 2)

    def mend(self) -> None:
        """Put the mistakes right."""
        self._apply("three", access={"keys": {"secretName": "own"}})
        self._apply("four", pod=None)
        self._apply("five", suspend=False)
        self._settle(*SERVERS)

    def delete(self) -> None:
        """Delete two of them, and one that is made again at once."""
        self.op.delete(MCP_SERVER, "four")
        self.op.delete(MCP_SERVER, "five", "Foreground")
        self.op.delete(MCP_SERVER, "three")
        eventually(lambda: self.op.server("three") is None, "it is gone", seconds=60)
        self._apply("three")
        eventually(
            lambda: not any(self.op.children(name) for name in GONE), "all is gone", seconds=60
        )
        self._settle(*SURVIVORS)
        # Where watches are behind, it may be a while until it knows of the pods that it asks.
        for name in SURVIVORS:
            self._wait(name, "Verified", "True")

    def _apply(self, name: str, **change: Any) -> None:
        self.specs[name] |= change
        said = {key: value for key, value in self.specs[name].items() if value is not None}
        self.op.apply(name, **said)

    def _settle(self, *names: str) -> None:
        for name in names:
            self._wait(name, "Ready", "True")
            self._wait(name, "Progressing", "False")
            self._prunes(name)

    def _wait(self, name: str, kind: str, status: str, reason: str = "") -> None:
        self.op.wait(name, kind, status, reason, seconds=PATIENCE_SECONDS)

    def _prunes(self, name: str) -> None:
        """Wait until nothing is left of the revision before."""
        eventually(
            lambda: self._revisions(name) == {f"{name}-{self._current(name)}"},
            f"{name} has its revision and no other",
            seconds=PATIENCE_SECONDS,
        )

    def _current(self, name: str) -> str:
        return str((self.op.server(name) or {})["status"].get("revision"))

    def _revisions(self, name: str) -> set[str]:
        path = CONTROLLER_REVISION.path(self.op.namespace)
        found = self.op.api.get(f"{path}?labelSelector={SERVER_LABEL}={name}")["items"]
        return {one["metadata"]["name"] for one in found}

    def _is(self, name: str, replicas: int) -> None:
        eventually(
            lambda: self.op.find(DEPLOYMENT, f"{name}-a")["spec"]["replicas"] == replicas,
            f"{name} has {replicas} replicas",
            seconds=60,
        )


@contextmanager
def stage(cluster: RunningCluster, folder: Path, **options: Any) -> Iterator[Ground]:
    """Give a life a place of its own."""
    name = f"life-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    with ground(cluster.kubeconfig, name, folder, ROOT, **options) as op:
        yield op


def lived(
    cluster: RunningCluster, folder: Path, disturb: Callable[[Ground], object] | None = None
) -> End:
    """Live a life, disturbed or not, and say how it ended."""
    with stage(cluster, folder) as op:
        with revived(op):
            if disturb is not None:
                disturb(op)
            Life(op).live()
        return end(op)


Point = TypeVar("Point")
Came = TypeVar("Came")


def groups(points: Sequence[Point]) -> list[Sequence[Point]]:
    """Divide points into those whose lives are lived at once."""
    return [points[n : n + LIVES_AT_ONCE] for n in range(0, len(points), LIVES_AT_ONCE)]


def at_once(live: Callable[[Point], Came], points: Sequence[Point]) -> list[Came]:
    """Live a life for each of some points, side by side."""
    with ThreadPoolExecutor(len(points)) as pool:
        return list(pool.map(live, points))


@pytest.fixture(scope="session")
def undisturbed(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> End:
    """How a life ends that nothing disturbs."""
    return lived(control_plane, tmp_path_factory.mktemp("undisturbed"))


@contextmanager
def revived(op: Ground) -> Iterator[None]:
    """Start an operator again whenever it has died, as kubelet does."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            if op.operator.process.poll() is not None:
                op.operator.start()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def end(op: Ground) -> End:
    """Say what is there, and what was done."""
    writes = [seen for seen in op.proxy.writes() if seen.status in {200, 201}]
    return End(
        state={name: shape(op, name) for name in SURVIVORS}
        | {name: op.children(name) for name in GONE},
        created=Counter(s.plural for s in writes if s.status == 201 and is_child(s)),
        deleted=Counter(s.plural for s in writes if s.method == "DELETE"),
        again=applied_again(writes),
        statuses_again=statuses_again(writes),
    )


def is_child(seen: Seen) -> bool:
    """Whether a write applied a child."""
    return seen.method == "PATCH" and seen.plural not in {"mcpservers", "pods"}


def applied_again(writes: Iterable[Seen]) -> int:
    """How many applies said just what the last write to that object had said."""
    last: dict[tuple[str, str], Any] = {}
    count = 0
    for seen in writes:
        if not is_child(seen) and seen.method != "DELETE":
            continue
        said = json.loads(seen.body) if seen.method == "PATCH" else None
        if isinstance(said, dict):
            said["metadata"].pop("resourceVersion", None)
            said["metadata"].pop("uid", None)
        count += said is not None and seen.status == 200 and last.get(_what(seen)) == said
        last[_what(seen)] = said
    return count


def statuses_again(writes: Iterable[Seen]) -> int:
    """How many statuses said just what the one before had said of the same server.

    How many there are depends on how fast pods get ready; that each says something new does not.
    """
    last: dict[str, Any] = {}
    count = 0
    for seen in writes:
        if seen.part != "status":
            continue
        said = json.loads(seen.body)
        status = said["status"]
        for one in status["conditions"]:
            del one["lastTransitionTime"]
        count += last.get(said["metadata"]["uid"]) == status
        last[said["metadata"]["uid"]] = status
    return count


def _what(seen: Seen) -> tuple[str, str]:
    return seen.plural, seen.name


def shape(op: Ground, server: str) -> Object:
    """A server's children and status, without what is random or depends on the moment."""
    children = op.children(server)
    for (kind, _), child in children.items():
        if kind == "Secret":
            child["data"] = sorted(child["data"])
            child["metadata"].pop("annotations", None)
        if kind == "Service" and child["spec"]["clusterIP"] != "None":
            child["spec"].pop("clusterIP")
            child["spec"].pop("clusterIPs")
        if kind == "ConfigMap":
            child["data"] = sorted(child["data"])
        child["metadata"].pop("namespace")
    status = (op.server(server) or {})["status"]
    conditions = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
    state = {"children": without_identity(children), "conditions": conditions}
    # Policies and addresses name it, and each run has another one.
    found: Object = json.loads(json.dumps(state).replace(op.namespace, "namespace"))
    return found


def without_identity(children: dict[tuple[str, str], Any]) -> Object:
    """Replace uid and namespace in what is rendered: they differ from run to run."""
    for (kind, _), child in children.items():
        if kind == "ControllerRevision":
            child["data"]["server"] = {}
            template = child["data"]["template"]
            template["metadata"]["annotations"].pop("breakwater.dev/settings")
        if kind == "Deployment":
            template = child["spec"]["template"]
            template["metadata"]["annotations"].pop("breakwater.dev/settings")
    return {f"{kind} {name}": child for (kind, name), child in children.items()}


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Say where two states differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            found
            for key in sorted({*one, *other}, key=str)
            for found in differences(one.get(key), other.get(key), f"{path}/{key}")
        ]
    return [] if one == other else [f"{path}: {one!r}, undisturbed {other!r}"]
