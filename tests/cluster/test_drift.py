"""Every field of every child that is ours comes back, and what is others' stays."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from breakwater_operator.kube.kinds import CHILDREN, MCP_SERVER, OPTIONAL, Kind
from breakwater_operator.render import drift, exclusive
from dev.cluster.api import ApiError
from tests.support.cluster import eventually
from tests.support.meddling import Field, fields
from tests.support.operator_ground import Ground, PatientApi, ground, said
from tests.support.optional_kinds import installed
from tests.support.rendered import Name, known, owned, rendered
from tests.support.rig.proof import Proof, source_of_operator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.cluster import RunningCluster

ROOT = Path(__file__).parents[2]
CASES = {"everything": "crm", "ingress": "notes"}
"""Golden manifests that have every kind of child between them, and the names of their servers."""

THINNED = 43
"""In the short proof each so-manieth edit is made."""

COLLECTED = {"monitoring": {"otlp": {"endpoint": "http://collector.telemetry.svc:4318"}}}
"""A platform that has what the manifests ask of it."""

REPAIR_SECONDS = 60.0
REFUSED = {400, 403, 409, 422, 500}
"""What the API server answers to an edit that makes no sense; 500 for a key twice in a list."""

Object = dict[str, Any]
Edit = tuple[Field, bool]
"""A field, and whether it is taken away instead of edited."""


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """An operator with two servers that have all kinds of children between them."""
    folder = tmp_path_factory.mktemp("operator")
    name = f"drift-{uuid.uuid4().hex[:8]}"  # noqa: TID251 - it has to be new, not known
    with (
        PatientApi(control_plane.kubeconfig) as api,
        installed(api),
        ground(control_plane.kubeconfig, name, folder, ROOT, platform=COLLECTED) as made,
    ):
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


class Meddler:
    """Edits one child after the other, and waits each time until it is as it was."""

    def __init__(self, op: Ground, server: str) -> None:
        """Look at how everything should be."""
        self.op = op
        self.kinds = {what: kind_of(op, what) for what in children(op, server)}
        self.wanted = rendered(op, server, known(op))
        self.count: Counter[str] = Counter()

    def edit(self, what: Name, edits: Sequence[Edit]) -> None:
        """Make edits of a child, and see each of them undone."""
        for field, is_removed in edits:
            before = self._read(what)
            sort = self._made(what, field, before, is_removed=is_removed)
            self.count[f"{what[0]}: {sort}"] += 1
            if sort in {"edited", "removed"}:
                self._comes_back(what, field, before)

    def _made(self, what: Name, field: Field, before: Object, *, is_removed: bool) -> str:
        """Make an edit in the first way that is accepted; say what came of it."""
        patches = field.removal(before) if is_removed else field.edits(before)
        found = "refused by the API server"
        for patch in patches:
            try:
                edited = self.op.patch(self.kinds[what], what[1], patch)
            except ApiError as error:
                if error.status not in REFUSED:
                    raise
                if "immutable" in str(error):
                    break
                continue
            if said(edited) != said(before):
                return "removed" if is_removed else "edited"
            # A default of the API server's came in its place.
            found = "the same by default"
        return found

    def _comes_back(self, what: Name, field: Field, before: Object) -> None:
        end = time.monotonic() + REPAIR_SECONDS
        while found := self._wrong(what, field, before):
            if time.monotonic() > end:
                print(self.op.operator.log[-3000:])  # noqa: T201
                pytest.fail(f"{' '.join(what)} {field} did not come back: {found}", pytrace=False)
            time.sleep(0.03)

    def _wrong(self, what: Name, field: Field, before: Object) -> str:
        live = self.op.get(self.kinds[what], what[1])
        if live is None:
            return "it is gone"
        if is_lost_for_good(what, field):
            return "" if live["data"].keys() == before["data"].keys() else "an entry is missing"
        if drift.differs(self.wanted[what], live) or exclusive.foreign(self.wanted[what], live):
            return "it differs from what is rendered"
        is_another = live["metadata"]["uid"] != before["metadata"]["uid"]
        return "" if is_another or said(live) == said(before) else "something of others is lost"

    def _read(self, what: Name) -> Object:
        found = self.op.find(self.kinds[what], what[1])
        if is_generated(what):
            self.wanted[what] = self.wanted[what] | {"data": found["data"]}
        return found


def is_generated(what: Name) -> bool:
    """Whether a child is nothing but random bytes."""
    return what[0] == "Secret" and what[1].endswith("-internal")


def is_lost_for_good(what: Name, field: Field) -> bool:
    """Whether a field is the memory of random bytes: new ones are made where it is edited."""
    return is_generated(what) and field.steps[:2] in {("data",), ("data", "state.json")}


def edits_of(manifest: Object) -> list[Edit]:
    return [(field, is_removed) for field in fields(manifest) for is_removed in (False, True)]


@pytest.mark.prove
def test_an_edited_field_of_any_child_comes_back(op: Ground) -> None:
    count: Counter[str] = Counter()
    kinds = set()
    for server in CASES.values():
        meddler = Meddler(op, server)
        kinds |= {what[0] for what in meddler.wanted}
        for place, what in enumerate(sorted(meddler.wanted)):
            meddler.edit(what, edits_of(meddler.wanted[what])[place % THINNED :: THINNED])
        count += meddler.count

    assert kinds == {kind.name for kind in (*CHILDREN, *OPTIONAL)}
    assert kinds == {name.partition(":")[0] for name in count}
    assert sum(n for name, n in count.items() if name.endswith((": edited", ": removed"))) > 20


@pytest.mark.prove
def test_every_field_of_every_child_comes_back(op: Ground, share: float) -> None:
    step = max(1, round(1 / share))
    meddlers = [Meddler(op, server) for server in CASES.values()]
    whats = [(meddler, what) for meddler in meddlers for what in sorted(meddler.wanted)]
    proof = Proof("drift", len(whats), part=1, source=f"{source_of_operator()} {step}")
    for _, what in whats:
        decorate(op, what)

    for part in proof.parts():
        meddler, what = whats[part]
        meddler.count.clear()
        meddler.edit(what, edits_of(meddler.wanted[what])[::step])
        proof.keep(dict(meddler.count))

    count: Counter[str] = sum(map(Counter, proof.done), Counter())
    proof.write(
        "Every field of every child, edited and taken away",
        "Two servers have every kind of child between them. Each value that the operator sets in "
        "one of them is edited, then taken away, and each time comes back; labels and annotations "
        "of others stay on it. Some edits the API server refuses, and where it puts a default in "
        "the place of what is taken away, nothing is to be mended.",
        {"edits": f"every {step}th" if step > 1 else "all", **dict(sorted(count.items()))},
    )


def test_additions_of_others_stay_while_what_is_ours_is_mended(op: Ground) -> None:
    autoscaled = CASES["everything"]
    op.patch(kind_of(op, ("Deployment", "")), f"{autoscaled}-a", {"spec": {"replicas": 5}})
    meddlers = [Meddler(op, server) for server in CASES.values()]

    for meddler in meddlers:
        for what in meddler.wanted:
            decorate(op, what)
            label: Edit = (
                Field(("metadata", "labels", "app.kubernetes.io/name"), "mcp-server"),
                False,
            )
            meddler.edit(what, [label])

    for meddler in meddlers:
        for what, kind in meddler.kinds.items():
            metadata = op.find(kind, what[1])["metadata"]
            assert metadata["labels"]["theirs"] == metadata["annotations"]["theirs"] == "yes", what
    deployment = op.find(kind_of(op, ("Deployment", "")), f"{autoscaled}-a")
    assert deployment["spec"]["replicas"] == 5, "how many there are is the autoscaler's"


@pytest.mark.prove
def test_a_deleted_child_of_any_kind_comes_back(op: Ground) -> None:
    for server in CASES.values():
        meddler = Meddler(op, server)
        uids = {what: one["metadata"]["uid"] for what, one in children(op, server).items()}
        for what, kind in meddler.kinds.items():
            op.delete(kind, what[1])

        def are_back(server: str = server, uids: dict[Name, str] = uids) -> bool:
            live = children(op, server)
            return live.keys() == uids.keys() and not any(
                live[what]["metadata"]["uid"] == uid for what, uid in uids.items()
            )

        eventually(are_back, f"all children of {server} are back", seconds=REPAIR_SECONDS)
        wanted, live = rendered(op, server, known(op)), children(op, server)
        assert [what for what in wanted if drift.differs(wanted[what], live[what])] == []
