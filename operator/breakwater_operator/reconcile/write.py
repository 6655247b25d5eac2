"""Doing what the plan says, child by child, in the order in which they depend on each other."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from breakwater_operator.api.errors import NotReadyError
from breakwater_operator.api.names import MANAGER
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import SERVICE, Kind
from breakwater_operator.reconcile import journal, managers, plan
from breakwater_operator.reconcile.plan import Child, Step
from breakwater_operator.reconcile.world import World
from breakwater_operator.render import exclusive
from breakwater_operator.status.facts import Problem

log = logging.getLogger(__name__)

Object = dict[str, Any]

CLEAN_TRIES = 4
"""How often a child may have changed before what others added to it is taken away: after an apply,
controllers write its status within milliseconds."""


@dataclass
class Written:
    """What came of writing the children of one server."""

    problems: list[Problem] = field(default_factory=list)
    waits: list[NotReadyError] = field(default_factory=list)
    failure: ApiError | None = None
    """Why writing ended early: what comes later needs what comes earlier."""
    created: list[Child] = field(default_factory=list)
    is_clean: bool = True
    """Whether every child is now as it should be."""

    def has_made(self, kind: Kind, name: str) -> bool:
        """Whether a child was not there and is now."""
        return any((child.kind, child.name) == (kind, name) for child in self.created)


class Writer:
    """Writes children. A clean child costs no request, a child that differs mostly one."""

    def __init__(self, api: KubeApi, world: World) -> None:
        """Remember nothing yet.

        Args:
            api: Where to write.
            world: Where answers are put.
        """
        self._api = api
        self._world = world
        self._futile: dict[str, str] = {}

    async def write(
        self,
        uid: str,
        children: Sequence[Child],
        confirm: Callable[[], Awaitable[None]],
        *,
        is_doubtful: bool = False,
    ) -> Written:
        """Bring children to what they should be.

        Args:
            uid: The uid of the McpServer.
            children: Its children, in the order of writing.
            confirm: Makes sure that the McpServer is there and not being deleted; called before a
                child is made, adopted or given its owner back, since the garbage collector may
                just have taken it.
            is_doubtful: Whether a child that differs may mean that our view of the McpServer is
                old: then it is confirmed before a repair too.
        """
        written = Written()
        confirm = _once(confirm)
        for child in children:
            try:
                await self._one(uid, child, confirm, written, is_doubtful=is_doubtful)
            except ApiError as error:
                written.failure, written.is_clean = error, False
                if error.kind_gone:
                    # Discovery sees that too, but only half a minute later at worst.
                    self._world.kinds -= {child.kind.name}
                break
        return written

    async def prune(self, surplus: Sequence[Child]) -> None:
        """Delete children that should not be: exactly the state of them that was seen."""
        for child in surplus:
            if child.live is not None:
                await self._delete(child, child.live)

    async def _one(
        self,
        uid: str,
        child: Child,
        confirm: Callable[[], Awaitable[None]],
        written: Written,
        *,
        is_doubtful: bool,
    ) -> None:
        what = plan.step(child, uid)
        if what is Step.KEEP:
            return
        if what is Step.CREATE or what is Step.ADOPT or what is Step.REPLACE:
            await confirm()
        if what is Step.REPAIR and is_doubtful and not self._is_futile(child):
            await confirm()
        if what is Step.CREATE and not await self._must_wait(child, written):
            child, what = await self._create(uid, child)
            written.created += [child] if what is Step.CREATE else []
        if what is Step.CREATE:
            written.is_clean &= plan.is_clean(child)
            return
        if what is Step.REPAIR or what is Step.ADOPT:
            await self._repair(child)
            written.is_clean &= child.title not in self._futile
            return
        written.is_clean = False
        if what is Step.REPLACE and child.live is not None:
            await self._delete(child, child.live)
            child, what = await self._create(uid, child.found(None))
        if what is Step.LEAVE:
            written.problems.append(plan.taken(child))
        elif what is Step.WAIT:
            written.waits.append(plan.ending(child, uid))

    async def _must_wait(self, child: Child, written: Written) -> bool:
        """Whether a child cannot be made yet, because of what one of its name has left."""
        left = self._world.left_endpoints(child.desired) if child.kind == SERVICE else None
        # One that merely lost its labels is there, and has endpoints: it is adopted.
        if left is None or await self._is_there(child):
            return False
        written.waits.append(plan.not_yet(child, left))
        return True

    async def _is_there(self, child: Child) -> bool:
        metadata = child.desired["metadata"]
        try:
            await self._api.get(
                child.kind, metadata["namespace"], metadata["name"], metadata_only=True
            )
        except ApiError as error:
            if not error.not_found:
                raise
            return False
        return True

    async def _create(self, uid: str, child: Child) -> tuple[Child, Step]:
        """Create a child; where something has its name, say what that is and what to do to it."""
        try:
            manifest = merged(child.desired, child.at_birth or {})
            with self._writing(child):
                live = await self._api.create_applied(child.kind, manifest, manager=MANAGER)
                self._world.children[child.kind].wrote(live)
        except ApiError as error:
            if not error.conflict:
                raise
            found = child.found(await self._in_the_way(child, error))
            return found, plan.step(found, uid)
        journal.note("created", child.title)
        return child.found(live), Step.CREATE

    async def _repair(self, child: Child) -> None:
        """Apply what differs, then take away what others added.

        A repair that changed nothing is not tried again on the same state: the server writes some
        values in its own way, and an admission webhook may insist on others.
        """
        if self._is_futile(child):
            return
        if not plan.is_applied(child):
            await managers.hand_over(self._api, child)
            child = await self._apply(child)
        self._remember(await self._clean(child))

    def _is_futile(self, child: Child) -> bool:
        return self._futile.get(child.title) == plan.fingerprint(child)

    async def _apply(self, child: Child) -> Child:
        try:
            return await self._applied(child)
        except ApiError as error:
            cache = self._world.children[child.kind]
            if not error.refused or not await managers.claim(self._api, cache, child):
                raise
        return await self._applied(child)

    async def _applied(self, child: Child) -> Child:
        if child.live is None:
            return child
        manifest = _for(child.desired, child.live)
        with self._writing(child):
            live = await self._api.apply(child.kind, manifest, manager=MANAGER)
            child = self._wrote(child, live)
        journal.note("applied", child.title)
        return child

    async def _clean(self, child: Child) -> Child:
        for left in reversed(range(CLEAN_TRIES)):
            try:
                return await self._cleaned(child)
            except ApiError as error:
                if not error.conflict or not left:
                    raise
                child = await self._as_it_is(child, error)
        return child

    async def _cleaned(self, child: Child) -> Child:
        live = child.live
        steps = exclusive.foreign(child.desired, live) if live is not None else []
        if live is None or not steps:
            return child
        metadata = live["metadata"]
        with self._writing(child):
            live = await self._api.json_patch(
                child.kind, metadata["namespace"], metadata["name"], steps, manager=MANAGER
            )
            child = self._wrote(child, live)
        journal.note("cleaned", child.title)
        return child

    async def _as_it_is(self, child: Child, conflict: ApiError) -> Child:
        """Read a child anew; one that was replaced meanwhile is for the next pass."""
        live = await self._in_the_way(child, conflict)
        if child.live is None or live["metadata"]["uid"] != child.live["metadata"]["uid"]:
            raise conflict
        return child.found(live)

    async def _in_the_way(self, child: Child, conflict: ApiError) -> Object:
        """Read what has the name of a child; where that is gone by now, there was a conflict."""
        metadata = child.desired["metadata"]
        try:
            return await self._api.get(child.kind, metadata["namespace"], metadata["name"])
        except ApiError as error:
            if not error.not_found:
                raise
            raise conflict from error

    def _writing(self, child: Child) -> AbstractContextManager[None]:
        metadata = child.desired["metadata"]
        return self._world.children[child.kind].writing(metadata["namespace"], metadata["name"])

    def _wrote(self, child: Child, live: Object) -> Child:
        self._world.children[child.kind].wrote(live)
        return child.found(live)

    def _remember(self, child: Child) -> None:
        if plan.is_clean(child):
            self._futile.pop(child.title, None)
            return
        self._futile[child.title] = plan.fingerprint(child)
        log.warning("still differs after it was repaired", extra={"child": child.title})

    async def _delete(self, child: Child, live: Object) -> None:
        try:
            answer = await self._api.delete(child.kind, live)
        except ApiError as error:
            if not error.not_found:
                raise
            answer = {"kind": "Status"}
        # Some kinds are answered with the object itself; it is gone unless finalizers hold it.
        if not answer.get("metadata", {}).get("finalizers"):
            self._world.children[child.kind].deleted(live)
        else:
            self._world.children[child.kind].wrote(answer)
        self._futile.pop(child.title, None)
        journal.note("deleted", child.title)


def merged(manifest: Object, more: Object) -> Object:
    """Put more fields into a manifest."""
    found = dict(manifest)
    for field_name, value in more.items():
        inner = found.get(field_name)
        found[field_name] = merged(inner, value) if isinstance(inner, dict) else value
    return found


def _once(confirm: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Confirm the first time only: one pass takes milliseconds."""
    is_confirmed = False

    async def confirm_once() -> None:
        nonlocal is_confirmed
        if not is_confirmed:
            await confirm()
        is_confirmed = True

    return confirm_once


def _for(desired: Object, live: Object) -> Object:
    """Bind a manifest to one object: should it be replaced meanwhile, the apply fails."""
    return desired | {"metadata": desired["metadata"] | {"uid": live["metadata"]["uid"]}}
