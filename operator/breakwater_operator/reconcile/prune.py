"""What a server has and should not have any more, and taking it away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from breakwater_operator.api import names
from breakwater_operator.api.models import McpServer
from breakwater_operator.kube.kinds import AUTOSCALER, CONTROLLER_REVISION, SECRET
from breakwater_operator.reconcile import older, plan
from breakwater_operator.reconcile.owners import Owners, is_doubtful
from breakwater_operator.reconcile.plan import Child
from breakwater_operator.reconcile.world import World
from breakwater_operator.reconcile.write import Writer
from breakwater_operator.render import Intent

Object = dict[str, Any]


@dataclass(frozen=True)
class Pruner:
    """Deletes children, once their server was confirmed where that is in doubt."""

    world: World
    owners: Owners
    writer: Writer

    async def free(self, owner: Object, server: McpServer, desired: Sequence[Child]) -> None:
        """Take away an autoscaler that should not be, before we say ourselves how many pods.

        Args:
            owner: The server as the API server has it.
            server: The same, read.
            desired: Its children as they should be.
        """
        surplus = self._surplus(server, desired)
        await self._delete(owner, [child for child in surplus if child.kind == AUTOSCALER])

    async def prune(self, owner: Object, intent: Intent, desired: Sequence[Child]) -> None:
        """Delete children that should not be, and revisions that no pod needs.

        Args:
            owner: The server as the API server has it.
            intent: What it should be.
            desired: Its children as they should be.
        """
        surplus = self._surplus(intent.server, desired)
        surplus += self._unretained(owner, intent.server, desired)
        unused = self._unused(intent.server, intent.revision.name)
        await self._delete(owner, surplus, unused)

    async def prune_revisions(self, owner: Object, server: McpServer, current: str) -> None:
        """Delete revisions that no pod needs.

        Args:
            owner: The server as the API server has it.
            server: The same, read.
            current: The revision that its pods should have.
        """
        await self._delete(owner, (), self._unused(server, current))

    async def _delete(
        self, owner: Object, surplus: Sequence[Child], revisions: Sequence[Child] = ()
    ) -> None:
        children = [*surplus, *revisions]
        # Those without an owner may just have been left by this very server.
        if (surplus and is_doubtful(owner)) or any(map(plan.is_ownerless, children)):
            await self.owners.confirm(owner)
        await self.writer.prune(children)

    def _surplus(self, server: McpServer, desired: Sequence[Child]) -> list[Child]:
        owned = self.world.owned(server.uid, (server.namespace, server.name))
        return plan.surplus(owned, desired)

    def _unretained(
        self, owner: Object, server: McpServer, desired: Sequence[Child]
    ) -> list[Child]:
        """Find the generated key that was to be retained, where it is neither used nor that."""
        name = names.key_secret(server.name)
        live = self.world.children[SECRET].get(server.namespace, name)
        is_used = any((SECRET, name) == (one.kind, one.name) for one in desired)
        if live is None or is_used or server.spec.access.keys.retain:
            return []
        is_left = plan.is_left(live, desired[0].desired, owner)
        return [Child(SECRET, live, live)] if is_left else []

    def _unused(self, server: McpServer, current: str) -> list[Child]:
        found = older.unused(self.world, server, current)
        return [Child(CONTROLLER_REVISION, one, one) for one in found]
