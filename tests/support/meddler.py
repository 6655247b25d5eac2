"""Meddling with a server's children, field by field, and seeing each edit undone."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import CHILDREN, MCP_SERVER, Kind
from breakwater_operator.reconcile import plan
from breakwater_operator.render import drift
from dev.cluster.api import ApiError
from tests.support.life import differences
from tests.support.meddling import Field, fields, merged, together
from tests.support.operator_ground import Ground, said
from tests.support.rendered import Name, known, owned, rendered

if TYPE_CHECKING:
    from collections.abc import Sequence

SEALED = ("ControllerRevision", "data")
"""Of which the API server refuses every edit, whatever it says."""

REPAIR_SECONDS = 120.0
REFUSED = {400, 403, 409, 422, 500}
"""What the API server answers to an edit that makes no sense; 500 for a key twice in a list."""

Object = dict[str, Any]
Patch = list[Object]


def children(op: Ground, server: str) -> dict[Name, Object]:
    """All children of a server, of the optional kinds too."""
    return owned(op, server, known(op))


def kind_of(op: Ground, what: Name) -> Kind:
    """Find the kind of a child."""
    return next(kind for kind in (*CHILDREN, *known(op)) if kind.name == what[0])


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
                print(self.op.operator.log[-3000:])  # noqa: T201 - for who reads the failure
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
