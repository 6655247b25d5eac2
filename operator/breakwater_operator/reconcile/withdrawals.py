"""Withdrawing keys from a server whose manifest is refused: the one thing that is done of it."""

from dataclasses import dataclass
from typing import Any

from breakwater_operator.api import names
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import CONFIG_MAP, SECRET
from breakwater_operator.reconcile import deployments
from breakwater_operator.reconcile.owners import Owners, is_doubtful
from breakwater_operator.reconcile.plan import Child
from breakwater_operator.reconcile.reading import secret
from breakwater_operator.reconcile.seen import Seen
from breakwater_operator.reconcile.world import World, controller
from breakwater_operator.reconcile.write import Writer
from breakwater_operator.render import live, withdrawal

Object = dict[str, Any]


@dataclass(frozen=True)
class _Server:
    """What can be said of a server without its spec."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Withdrawals:
    """Looks after the copies of keys, where nobody can say what else a server should be."""

    world: World
    owners: Owners
    writer: Writer

    async def make(self, owner: Object, seen: Seen) -> None:
        """Take away copies of keys that left their Secret, and note what pods should run on.

        The Secret is followed from now on, also by an operator that has just started.
        """
        metadata = owner["metadata"]
        server = _Server(metadata["namespace"], metadata["name"], metadata["uid"])
        try:
            await self._make(server, owner, seen)
        except ApiError as error:
            seen.failure = error

    async def _make(self, server: _Server, owner: Object, seen: Seen) -> None:
        copy = await self._copy(server)
        source = withdrawal.followed(server, copy)
        if copy is None or source is None:
            return
        reference = (SECRET, server.namespace, source)
        self.world.references.use_also((server.namespace, server.name), reference)
        found = await self.world.references.read(reference)
        if (manifest := withdrawal.withdrawn(server, copy, found)) is not None:
            written = await self.writer.write(
                server.uid,
                [Child(SECRET, manifest, copy)],
                lambda: self.owners.confirm(owner),
                is_doubtful=is_doubtful(owner),
            )
            seen.failure = written.failure
            copy = await self._copy(server)
        seen.live = self._live(server, copy)

    async def _copy(self, server: _Server) -> Object | None:
        """Find the Secret with the copies, if it is the server's own."""
        found = await secret(self.world, server.namespace, names.live(server.name))
        holder = controller(found) if found is not None else None
        return found if holder is not None and holder["uid"] == server.uid else None

    def _live(self, server: _Server, copy: Object | None) -> str | None:
        """Say what pods should report, of objects that may not be as they should."""
        children, where = self.world.children, server.namespace
        config_map = children[CONFIG_MAP].get(where, names.live(server.name))
        internal = children[SECRET].get(where, names.internal(server.name))
        deployment = deployments.find(self.world, where, server.name)
        if config_map is None or copy is None or deployment is None:
            return None
        return live.held(config_map, copy, internal, deployment["spec"]["template"])
