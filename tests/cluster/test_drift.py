"""Every field of every child that is ours comes back, and what is others' stays."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from breakwater_operator.kube.kinds import CHILDREN, MCP_SERVER, OPTIONAL, Kind
from breakwater_operator.render import drift
from tests.support.cluster import eventually
from tests.support.meddler import REPAIR_SECONDS, Meddler, Server, children, kind_of
from tests.support.meddling import Field
from tests.support.operator_ground import Ground, PatientApi
from tests.support.optional_kinds import complete_ground
from tests.support.rendered import Name, faults, known, rendered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.cluster import RunningCluster

ROOT = Path(__file__).parents[2]
CASES = {"everything": "crm", "ingress": "notes"}
"""Golden manifests that have every kind of child between them, and the names of their servers."""

AT_ONCE = 4
"""How many children are meddled with at a time."""

NAME_LABEL = "app.kubernetes.io/name"

Object = dict[str, Any]


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """An operator with two servers that have all kinds of children between them."""
    with complete_ground(control_plane, tmp_path_factory, "drift") as made:
        for case in CASES:
            bring(made, case)
        for server in CASES.values():
            made.wait(server, "Accepted")
            eventually(partial(is_made, made, server), "it is made", seconds=REPAIR_SECONDS)
        made.quiet(2.0)
        yield made


def is_made(op: Ground, server: str) -> bool:
    return len(children(op, server)) > 8 and not faults(op, server, known(op))


def bring(op: Ground, case: str) -> None:
    """Make what stands in a golden case, here."""
    for manifest in yaml.safe_load_all((ROOT / f"tests/golden/{case}/mcpserver.yaml").read_text()):
        name = manifest["metadata"]["name"]
        if manifest["kind"] == MCP_SERVER.name:
            spec = {key: value for key, value in manifest["spec"].items() if key != "operatorClass"}
            op.apply(name, **spec)
            continue
        if manifest["kind"] == "PersistentVolumeClaim":
            manifest["spec"] |= {
                "storageClassName": "",
                "resources": {"requests": {"storage": "1Mi"}},
            }
        content = {key: manifest[key] for key in ("data", "spec") if key in manifest}
        plurals = {"Secret": "secrets", "PersistentVolumeClaim": "persistentvolumeclaims"}
        kind = Kind("v1", manifest["kind"], plurals[manifest["kind"]])
        op.create(kind, name, **content)


def decorate(op: Ground, what: Name) -> None:
    """Add to a child what others may add."""
    additions = {"labels": {"theirs": "yes"}, "annotations": {"theirs": "yes"}}
    op.patch(kind_of(op, what), what[1], {"metadata": additions})


def walked(op: Ground, server: Server, whats: Sequence[Name]) -> Counter[str]:
    """Edit every field of some children, one after the other, by a connection of their own."""
    with PatientApi(op.operator.direct) as api:
        meddler = Meddler(replace(op, api=api), server)
        for what in whats:
            decorate(meddler.op, what)
            meddler.edit_all(what)
    return meddler.count


def test_every_field_of_every_child_comes_back(op: Ground) -> None:
    servers = [Server(op, name) for name in CASES.values()]
    groups = [(server, group) for server in servers for group in server.groups()]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        walks = [pool.submit(walked, op, *group) for group in groups]
        count: Counter[str] = sum((walk.result() for walk in walks), Counter())

    kinds = {what[0] for server in servers for what in server.wanted}
    assert kinds == {kind.name for kind in (*CHILDREN, *OPTIONAL)}
    for kind in kinds:
        assert count[f"{kind}: edited"] >= 10, count
        assert count[f"{kind}: removed"] >= 10, count


def test_additions_of_others_stay_while_what_is_ours_is_mended(op: Ground) -> None:
    autoscaled = CASES["everything"]
    op.patch(kind_of(op, ("Deployment", "")), f"{autoscaled}-a", {"spec": {"replicas": 5}})
    meddlers = [Meddler(op, Server(op, name)) for name in CASES.values()]

    for meddler in meddlers:
        for what in meddler.server.wanted:
            decorate(op, what)
            meddler.edit(what, [Field(("metadata", "labels", NAME_LABEL), "mcp-server")])

    for meddler in meddlers:
        for what, kind in meddler.server.kinds.items():
            metadata = op.find(kind, what[1])["metadata"]
            assert metadata["labels"]["theirs"] == metadata["annotations"]["theirs"] == "yes", what
    deployment = op.find(kind_of(op, ("Deployment", "")), f"{autoscaled}-a")
    assert deployment["spec"]["replicas"] == 5, "how many there are is the autoscaler's"


def test_a_child_given_to_another_owner_comes_back(op: Ground) -> None:
    """The garbage collector takes it, since there is no such owner; that takes it its time."""
    servers = {name: Server(op, name) for name in CASES.values()}
    for server in servers.values():
        for what, kind in server.kinds.items():
            owner = [{"op": "replace", "path": "/metadata/ownerReferences/0/uid", "value": "other"}]
            op.patch(kind, what[1], owner)

    for name, server in servers.items():
        eventually(partial(is_whole, op, name, server), f"{name} is whole", seconds=REPAIR_SECONDS)


def test_a_deleted_child_of_any_kind_comes_back(op: Ground) -> None:
    for name in CASES.values():
        eventually(partial(is_made, op, name), f"{name} is made", seconds=REPAIR_SECONDS)
        server = Server(op, name)
        uids = {one["metadata"]["uid"] for one in children(op, name).values()}
        for what, kind in server.kinds.items():
            # The garbage collector may only now take what had another owner for a moment.
            op.api.delete(kind.path(op.namespace, what[1]))

        eventually(partial(is_whole, op, name, server), f"{name} is whole", seconds=REPAIR_SECONDS)
        assert not uids & {one["metadata"]["uid"] for one in children(op, name).values()}


def is_whole(op: Ground, name: str, server: Server) -> bool:
    """Whether a server has all its children, as they should be now."""
    wanted, live = rendered(op, name, known(op)), children(op, name)
    return server.kinds.keys() == live.keys() and not any(
        drift.differs(wanted[what], live[what]) for what in wanted
    )
