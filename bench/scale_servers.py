"""What somebody who watches McpServers sees of them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bench.scale_ground import NAMESPACE, manifest, side_by_side
from bench.scale_watch import Watched
from breakwater_operator.kube.kinds import MCP_SERVER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from breakwater_operator.kube.api import KubeApi

Key = tuple[str, str]
Object = dict[str, Any]

PATIENCE_SECONDS = 1800.0
"""How long a phase may take on a machine that others keep busy."""


class Servers:
    """Applies McpServers as users do, and waits for what becomes of them."""

    def __init__(self, api: KubeApi, namespace: Callable[[int], str] = lambda _: NAMESPACE) -> None:
        """Follow nothing yet; `following` does.

        Args:
            api: The API server.
            namespace: Where the server of a number is.
        """
        self._api = api
        self._namespace = namespace
        self._watched = Watched(api, MCP_SERVER, _report)
        self._generations: dict[Key, int] = {}

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Servers]:
        """Follow for as long as somebody may wait."""
        async with self._watched.following():
            yield self

    async def apply(self, numbers: Iterable[int], spec: Mapping[str, Any]) -> None:
        """Apply servers at once, all with this spec."""
        await side_by_side(numbers, lambda number: self._apply_one(self._key(number), spec))

    async def observed(self, numbers: Iterable[int], what: str) -> None:
        """Wait until the operator has concluded over the newest spec of each."""
        await self._until(numbers, "observed", what)

    async def settled(self, numbers: Iterable[int], what: str) -> None:
        """The same, and until all pods are ready and current."""
        await self._until(numbers, "settled", what)

    async def _until(self, numbers: Iterable[int], which: str, what: str) -> None:
        await self._watched.until(
            map(self._key, numbers),
            lambda key, kept: kept[which] >= self._generations[key],
            PATIENCE_SECONDS,
            f"{what}, {which}",
        )

    async def _apply_one(self, key: Key, spec: Mapping[str, Any]) -> None:
        namespace, name = key
        made = manifest(name, namespace, **spec)
        applied = await self._api.apply(MCP_SERVER, made, manager="user")
        self._generations[key] = applied["metadata"]["generation"]

    def _key(self, number: int) -> Key:
        return self._namespace(number), f"s{number}"


def _report(server: Object) -> Object:
    """Keep which generation was observed, and which is rolled out."""
    metadata, status = server["metadata"], server.get("status") or {}
    kept = ("namespace", "name", "uid", "resourceVersion")
    observed = status.get("observedGeneration", 0)
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    is_ready = conditions.get("Ready") == "True" and conditions.get("Progressing") == "False"
    return {
        "metadata": {name: metadata[name] for name in kept},
        "observed": observed,
        "settled": observed if is_ready else 0,
    }
