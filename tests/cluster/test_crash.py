"""The operator killed at any write: the end is the same, and next to nothing is done twice."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cluster import RunningCluster, eventually
from tests.support.operator_ground import Ground, ground

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.faultproxy import Seen

ROOT = Path(__file__).parents[2]
SERVERS = ("one", "two", "three", "four", "five")
CHILDREN_EACH = 7
CREATED = len(SERVERS) * CHILDREN_EACH
WRITES = CREATED + 2 * len(SERVERS) + 1
"""Writes of an undisturbed run at least: the signing key, the children, two statuses each."""


@dataclass(frozen=True)
class Run:
    """What was there at the end, and what had been done until then."""

    state: dict[str, Any]
    created: Counter[str]
    deleted: Counter[str]
    applied_again: int
    statuses_again: int


def play(
    cluster: RunningCluster, folder: Path, kill: Callable[[Ground], None] | None = None
) -> Run:
    """Apply five servers at once; with `kill`, see the operator killed once and started again."""
    name = f"crash-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    with ExitStack() as stack:
        op = stack.enter_context(ground(cluster.kubeconfig, name, folder, ROOT))
        if kill is not None:
            kill(op)
        for server in SERVERS:
            op.apply(server)
        if kill is not None:
            eventually(lambda: op.operator.process.poll() is not None, "it is killed", seconds=60)
            op.operator.start()
        for server in SERVERS:
            op.wait(server, "Ready")
            op.wait(server, "Progressing", "False")
        op.quiet()
        return Run(
            state={server: shape(op, server) for server in SERVERS},
            created=Counter(s.plural for s in op.proxy.seen if s.status == 201 and is_child(s)),
            deleted=Counter(s.plural for s in op.proxy.seen if s.method == "DELETE"),
            applied_again=sum(s.status == 200 and is_child(s) for s in op.proxy.writes()),
            statuses_again=repeated([s for s in op.proxy.writes() if s.part == "status"]),
        )


def repeated(statuses: list[Seen]) -> int:
    """How many statuses said just what the one before had said of the same server.

    How many there are depends on how fast pods get ready; that each says something new does not.
    """
    last: dict[str, Any] = {}
    count = 0
    for seen in statuses:
        status = json.loads(seen.body)["status"]
        for one in status["conditions"]:
            del one["lastTransitionTime"]
        count += last.get(seen.name) == status
        last[seen.name] = status
    return count


def is_child(seen: Seen) -> bool:
    return seen.method == "PATCH" and seen.plural != "mcpservers"


def shape(op: Ground, server: str) -> dict[str, Any]:
    """A server's children and status, without what is random or depends on the moment."""
    children = op.children(server)
    for (kind, _), child in children.items():
        if kind == "Secret":
            child["data"] = sorted(child["data"])
            child["metadata"].pop("annotations", None)
        if kind == "Service":
            child["spec"].pop("clusterIP")
            child["spec"].pop("clusterIPs")
        if kind == "ConfigMap":
            child["data"] = sorted(child["data"])
        child["metadata"].pop("namespace")
    status = (op.server(server) or {})["status"]
    conditions = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
    return {"children": without_identity(children), "conditions": conditions}


def without_identity(children: dict[tuple[str, str], Any]) -> dict[str, Any]:
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


@pytest.fixture(scope="module")
def undisturbed(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same without a kill."""
    return play(control_plane, tmp_path_factory.mktemp("undisturbed"))


def check(run: Run, undisturbed: Run) -> None:
    assert run.state == undisturbed.state
    assert run.created == undisturbed.created
    assert run.deleted == undisturbed.deleted
    assert run.applied_again <= 1
    assert run.statuses_again <= 1


def before(number: int) -> Callable[[Ground], None]:
    """Kill it as it sends its n-th write, which is never carried out."""

    def arrange(op: Ground) -> None:
        # Counted from here: the signing key was written before.
        first = op.proxy.written

        def hook(count: int) -> bool:
            if count - first == number:
                op.operator.process.kill()
                return True
            return False

        op.proxy.before_write = hook

    return arrange


def after(number: int) -> Callable[[Ground], None]:
    """Kill it before it gets the answer to its n-th write, which was carried out."""

    def arrange(op: Ground) -> None:
        first = op.proxy.written

        def hook(count: int) -> bool:
            if count - first == number:
                op.operator.process.kill()
                return True
            return False

        op.proxy.after_write = hook

    return arrange


def points(step: int) -> list[Any]:
    numbers = range(1, WRITES, step)
    return [
        pytest.param(make, number, id=f"{make.__name__}-{number}")
        for index, number in enumerate(numbers)
        for make in ((before, after) if step == 1 else ((before, after)[index % 2],))
    ]


@pytest.mark.parametrize(("when", "number"), points(8))
def test_a_kill_changes_neither_the_end_nor_what_is_made(
    control_plane: RunningCluster,
    undisturbed: Run,
    tmp_path: Path,
    when: Callable[[int], Callable[[Ground], None]],
    number: int,
) -> None:
    check(play(control_plane, tmp_path, when(number)), undisturbed)


@pytest.mark.prove
@pytest.mark.parametrize(("when", "number"), points(1))
def test_a_kill_at_every_write_changes_neither_the_end_nor_what_is_made(
    control_plane: RunningCluster,
    undisturbed: Run,
    tmp_path: Path,
    when: Callable[[int], Callable[[Ground], None]],
    number: int,
) -> None:
    check(play(control_plane, tmp_path, when(number)), undisturbed)


def test_the_undisturbed_run_makes_each_child_once(undisturbed: Run) -> None:
    assert sum(undisturbed.created.values()) == CREATED
    assert undisturbed.deleted == Counter()
    assert undisturbed.applied_again == undisturbed.statuses_again == 0
