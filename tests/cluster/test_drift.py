"""Every field of every child that is ours comes back, and what is others' stays."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from breakwater_operator.kube.kinds import CHILDREN, MCP_SERVER, OPTIONAL, Kind
from breakwater_operator.reconcile import plan
from breakwater_operator.render import drift
from dev.cluster.api import ApiError
from tests.support.cluster import eventually
from tests.support.life import differences
from tests.support.meddling import Field, fields, merged, together
from tests.support.operator_ground import Ground, PatientApi, said
from tests.support.optional_kinds import complete_ground
from tests.support.rendered import Name, known, owned, rendered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.cluster import RunningCluster

ROOT = Path(__file__).parents[2]
CASES = {"everything": "crm", "ingress": "notes"}
"""Golden manifests that have every kind of child between them, and the names of their servers."""

AT_ONCE = 4
"""How many children are meddled with at a time."""

NAME_LABEL = "app.kubernetes.io/name"

SEALED = ("ControllerRevision", "data")
"""Of which the API server refuses every edit, whatever it says."""

REPAIR_SECONDS = 120.0
REFUSED = {400, 403, 409, 422, 500}
"""What the API server answers to an edit that makes no sense; 500 for a key twice in a list."""

Object = dict[str, Any]
Patch = list[Object]


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """An operator with two servers that have all kinds of children between them."""
    with complete_ground(control_plane, tmp_path_factory, "drift") as made:
        for case in CASES:
            bring(made, case)
        for server in CASES.values():
            made.wait(server, "Accepted")
            eventually(lambda server=server: len(children(made, server)) > 8, "it is made")  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        made.quiet(2.0)
        yield made


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


def children(op: Ground, server: str) -> dict[Name, Object]:
    return owned(op, server, known(op))


def kind_of(op: Ground, what: Name) -> Kind:
    return next(kind for kind in (*CHILDREN, *known(op)) if kind.name == what[0])


def decorate(op: Ground, what: Name) -> None:
    """Add to a child what others may add."""
    additions = {"labels": {"theirs": "yes"}, "annotations": {"theirs": "yes"}}
    op.patch(kind_of(op, what), what[1], {"metadata": additions})


class Server:
    """A server, and how its children should be."""

    def __init__(self, op: Ground, name: str) -> None:
        """Look at all of them."""
        self.uid = op.find(MCP_SERVER, name)["metadata"]["uid"]
        self.kinds = {what: kind_of(op, what) for what in children(op, name)}
        self.wanted = rendered(op, name, known(op))

    def groups(self) -> list[list[Name]]:
        """Divide the children into those that have to be meddled with one after the other.

        A key is in several Secrets, so that each is put right by the others; and an autoscaler
        that was edited scales.
        """
        tied = {"Secret": "keys", "Deployment": "pods", "HorizontalPodAutoscaler": "pods"}
        found: dict[str, list[Name]] = {}
        for what in sorted(self.wanted):
            found.setdefault(tied.get(what[0], " ".join(what)), []).append(what)
        return list(found.values())

    def is_noticed(self, what: Name, live: Object) -> bool:
        """Whether the operator finds something to do about a child."""
        child = plan.Child(self.kinds[what], self.wanted[what], live)
        return plan.step(child, self.uid) is not plan.Step.KEEP


class Meddler:
    """Edits children of a server, and waits each time until they are as they were."""

    def __init__(self, op: Ground, server: Server) -> None:
        """Edit nothing yet."""
        self.op = op
        self.server = server
        self.count: Counter[str] = Counter()
        self.accepted: dict[Any, Any] = {}
        self.refused: set[Any] = set()

    def edit_all(self, what: Name) -> None:
        """Edit each field of a child, and take each away, as many at a time as do not meet."""
        found = [field for field in fields(self._wanted(what)) if field.steps[-1] != "uid"]
        alone = [[field] for field in found if is_memory(what, field)]
        others = together(field for field in found if not is_memory(what, field))
        for is_removed in (False, True):
            for part in (*alone, *others):
                self.edit(what, part, is_removed=is_removed)

    def edit(self, what: Name, part: Sequence[Field], *, is_removed: bool = False) -> None:
        """Edit fields of a child, or take them away, and see it undone."""
        before = self._read(what)
        found = [self._tried(what, field, before, is_removed=is_removed) for field in part]
        self._edit(what, [patch for patch in found if patch is not None])

    def _tried(self, what: Name, field: Field, before: Object, *, is_removed: bool) -> Patch | None:
        """Find an edit that the API server accepts; hold the operator to noticing it alone."""
        for patch in self._patches(what, field, before, is_removed=is_removed):
            try:
                edited = self.op.patch(self.server.kinds[what], what[1], patch, is_tried=True)
            except ApiError as error:
                if error.status not in REFUSED:
                    raise
                if "immutable" in str(error):
                    break
                continue
            if said(edited) == said(before):
                # A default of the API server's came in its place.
                self.count[f"{what[0]}: the same by default"] += 1
                return None
            assert self.server.is_noticed(what, edited), f"{' '.join(what)} {field}: {patch}"
            self.count[f"{what[0]}: {'removed' if is_removed else 'edited'}"] += 1
            self.accepted[what[0], field.kind, is_removed] = patch[0].get("value")
            return patch
        self.count[f"{what[0]}: refused by the API server"] += 1
        self.refused.add((what[0], field.kind, is_removed))
        return None

    def _patches(
        self, what: Name, field: Field, before: Object, *, is_removed: bool
    ) -> list[Patch]:
        """Give the ways to edit a field, what was accepted elsewhere first."""
        known = what[0], field.kind, is_removed
        if known in self.refused:
            return []
        found = list(field.removal(before) if is_removed else field.edits(before))
        if (what[0], field.steps[0]) == SEALED:
            found = found[:1]
        likely = self.accepted.get(known)
        return sorted(found, key=lambda patch: patch[0].get("value") != likely)

    def _edit(self, what: Name, patches: list[Patch]) -> None:
        """Make edits at once; where they are refused together, half and half."""
        if not patches:
            return
        before = self._read(what)
        try:
            self.op.patch(self.server.kinds[what], what[1], merged(patches))
        except ApiError as error:
            if error.status not in REFUSED or len(patches) == 1:
                raise
            half = len(patches) // 2
            self._edit(what, patches[:half])
            self._edit(what, patches[half:])
        else:
            self._comes_back(what, patches, before)
            self._tidy(what, before)

    def _tidy(self, what: Name, before: Object) -> None:
        """Take away what stays since it is somebody else's: an item of a list, by another name."""
        live = self._read(what)
        is_another = live["metadata"]["uid"] != before["metadata"]["uid"]
        if "spec" in live and not is_another and self._ours(what, live) != self._ours(what, before):
            again = [{"op": "replace", "path": "/spec", "value": before["spec"]}]
            self.op.patch(self.server.kinds[what], what[1], again)

    def _comes_back(self, what: Name, patches: list[Patch], before: Object) -> None:
        end = time.monotonic() + REPAIR_SECONDS
        while found := self._wrong(what, patches, before):
            if time.monotonic() > end:
                print(self.op.operator.log[-3000:])  # noqa: T201
                pytest.fail(f"{' '.join(what)} after {patches}: {found}", pytrace=False)
            time.sleep(0.03)

    def _wrong(self, what: Name, patches: list[Patch], before: Object) -> str:
        live = self.op.get(self.server.kinds[what], what[1])
        if live is None:
            return "it is gone"
        if is_generated(what) and any(patch[0]["path"] in MEMORY for patch in patches):
            is_whole = live.get("data", {}).keys() == before["data"].keys()
            return "" if is_whole else "an entry is missing"
        if self.server.is_noticed(what, live):
            return "it differs from what is rendered"
        if live["metadata"].get("deletionTimestamp"):
            return "it is being deleted"
        is_another = live["metadata"]["uid"] != before["metadata"]["uid"]
        if is_another or drift.covers(self._ours(what, before), self._ours(what, live)):
            return ""
        return f"something of others is lost: {differences(said(live), said(before))}"

    def _ours(self, what: Name, live: Object) -> Object:
        """What a child says, without how many pods an autoscaler wants."""
        found = said(live)
        if what[0] != "Deployment" or "replicas" in self._wanted(what)["spec"]:
            return found
        spec = {name: value for name, value in found["spec"].items() if name != "replicas"}
        return found | {"spec": spec}

    def _wanted(self, what: Name) -> Object:
        return self.server.wanted[what]

    def _read(self, what: Name) -> Object:
        found = self.op.find(self.server.kinds[what], what[1])
        if is_generated(what):
            self.server.wanted[what] = self._wanted(what) | {"data": found["data"]}
        return found


MEMORY = {"/data", "/data/state.json"}
"""What random bytes are kept by: new ones are made where it is edited."""


def is_generated(what: Name) -> bool:
    """Whether a child is nothing but random bytes."""
    return what[0] == "Secret" and what[1].endswith("-internal")


def is_memory(what: Name, field: Field) -> bool:
    """Whether the other entries of a Secret are made anew with a field of it."""
    return is_generated(what) and field.steps == ("data", "state.json")


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
        server = Server(op, name)
        uids = {one["metadata"]["uid"] for one in children(op, name).values()}
        for what, kind in server.kinds.items():
            op.delete(kind, what[1])

        eventually(partial(is_whole, op, name, server), f"{name} is whole", seconds=REPAIR_SECONDS)
        assert not uids & {one["metadata"]["uid"] for one in children(op, name).values()}


def is_whole(op: Ground, name: str, server: Server) -> bool:
    """Whether a server has all its children, as they should be now."""
    wanted, live = rendered(op, name, known(op)), children(op, name)
    return server.kinds.keys() == live.keys() and not any(
        drift.differs(wanted[what], live[what]) for what in wanted
    )
