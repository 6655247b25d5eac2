"""Revisions that are no longer the current one: which of them pods need, and what of their time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from breakwater_contract.gateway import BackendTools
from breakwater_contract.names import REVISION_LABEL
from breakwater_operator.api import names
from breakwater_operator.api.models import McpServer
from breakwater_operator.kube.kinds import CONFIG_MAP, CONTROLLER_REVISION
from breakwater_operator.reconcile import deployments
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.world import World
from breakwater_operator.render import carried, revision

Object = dict[str, Any]

Entries = dict[str, BackendTools | None]


def unused(world: World, server: McpServer, current: str) -> list[Object]:
    """Find the stored revisions that no pod needs."""
    known, key = world.children[CONTROLLER_REVISION], (server.namespace, server.name)
    if known.names(server.uid) | known.names(key) <= {
        (server.namespace, names.controller_revision(server.name, current))
    }:
        return []
    deployment = deployments.find(world, server.namespace, server.name)
    if deployment is None or deployments.revision_of(deployment) != current:
        return []
    if not deployments.is_complete(deployment):
        return []
    running = _revisions(world.pods.together(key))
    stored = [*known.together(server.uid), *known.together(key)]
    return [dict(one) for one in revision.unused(stored, current, running)]


@dataclass(frozen=True)
class Carrying:
    """Keeps what is said of the tools of backends that only older pods have.

    The manifest no longer says it. It is read from the ConfigMap once, in the first pass that
    misses a backend; from then on this process remembers it, and repairs what others make of it. A
    process that comes to lead during a rollout takes what it finds.
    """

    world: World
    known: dict[Key, tuple[str, Entries]] = field(default_factory=dict)
    """What was found of each backend that a server no longer has, with the server's uid."""

    def of(
        self, server: McpServer, stored: Sequence[Object], current: str
    ) -> tuple[BackendTools, ...]:
        """Say what goes on to hold for backends that the manifest no longer has.

        Args:
            server: The server.
            stored: Its ControllerRevisions.
            current: The name of the revision that it should run.
        """
        key = server.namespace, server.name
        gone = self._gone(server, stored, current)
        if not gone:
            self.known.pop(key, None)
            return ()
        uid, before = self.known.get(key, (server.uid, {}))
        if uid != server.uid:
            before = {}
        if not before.keys() >= set(gone):
            config_map = self.world.children[CONFIG_MAP].get(key[0], names.live(key[1]))
            before = {**dict.fromkeys(gone), **carried.entries(config_map), **before}
        found = {name: before[name] for name in gone}
        self.known[key] = server.uid, found
        return tuple(entry for entry in found.values() if entry is not None)

    def forget(self, key: Key) -> None:
        """Know nothing of a server any more."""
        self.known.pop(key, None)

    def _gone(self, server: McpServer, stored: Sequence[Object], current: str) -> tuple[str, ...]:
        """Name the backends that a pod may have, and the manifest has not."""
        over = {one["metadata"]["name"] for one in unused(self.world, server, current)}
        over.add(names.controller_revision(server.name, current))
        older = [one for one in stored if one["metadata"]["name"] not in over]
        return carried.backends_gone(server, older)


def _revisions(pods: Sequence[Object]) -> set[str]:
    labels = [pod["metadata"].get("labels") or {} for pod in pods]
    return {found[REVISION_LABEL] for found in labels if REVISION_LABEL in found}
