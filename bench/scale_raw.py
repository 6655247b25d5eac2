"""The writes of an operator without the operator: what the API server itself takes for them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.scale_ground import AT_ONCE, NAMESPACE, manifest, side_by_side, until
from bench.scale_servers import PATIENCE_SECONDS
from breakwater_contract.names import LIVE_ANNOTATION, SERVER_LABEL
from breakwater_operator.api import names
from breakwater_operator.kube.kinds import CHILDREN, CONFIG_MAP, DEPLOYMENT, MCP_SERVER, POD, Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from breakwater_operator.kube.api import KubeApi

Object = dict[str, Any]

RAW = "raw"
"""The operator class that is nobody's, and the namespace for it where nothing else is said."""

MANAGED = "app.kubernetes.io/managed-by=breakwater"
_MADE_BY_THE_SERVER = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"}
)


@dataclass(frozen=True)
class Sample:
    """A server as the operator makes one, to write others like it."""

    api: KubeApi
    server: Object
    children: list[tuple[Kind, Object]]
    spec: Mapping[str, Any]
    namespace: Callable[[int], str] = lambda _: RAW
    """Where the server with a number is written."""

    async def made(self, numbers: range) -> float:
        """Write servers with these numbers, their children and statuses; say how long it took."""

        async def one(number: int) -> None:
            own = self._manifest(number)
            owner = await self.api.apply(MCP_SERVER, own, manager="user")
            for kind, live in self.children:
                await self.api.apply(kind, _like(live, owner), manager="breakwater")
            await self._status(own, self.server["status"])

        return await _timed(numbers, one, "servers written raw")

    async def changed(self, numbers: range, spec: Mapping[str, Any]) -> float:
        """Write what a live edit of these servers takes; say how long it took.

        Args:
            numbers: Of servers whose pods are there.
            spec: What is edited.
        """
        (settings,) = (live for kind, live in self.children if _is_settings(kind, live))
        of: dict[str, list[str]] = {}
        for pod in await self._found(POD, numbers):
            metadata = pod["metadata"]
            of.setdefault(metadata["labels"][SERVER_LABEL], []).append(metadata["name"])

        async def one(number: int) -> None:
            own = self._manifest(number, **spec)
            owner = await self.api.apply(MCP_SERVER, own, manager="user")
            child = _like(settings, owner)
            child["data"] = {key: f"{value} " for key, value in child["data"].items()}
            await self.api.apply(CONFIG_MAP, child, manager="breakwater")
            for pod in of[own["metadata"]["name"]]:
                change = {"metadata": {"annotations": {LIVE_ANNOTATION: owner["metadata"]["uid"]}}}
                namespace = own["metadata"]["namespace"]
                await self.api.merge_patch(POD, namespace, pod, change, manager="breakwater")
            await self._status(own, self.server["status"] | {"observedGeneration": 2})

        return await _timed(numbers, one, "servers changed raw")

    async def ready(self, numbers: range) -> None:
        """Wait until the pods of these servers are there and ready."""
        waited = {_name(number) for number in numbers}

        async def is_so() -> bool:
            done = {
                live["metadata"]["labels"][SERVER_LABEL]
                for live in await self._found(DEPLOYMENT, numbers)
                if live.get("status", {}).get("availableReplicas") == live["spec"]["replicas"]
            }
            return waited <= done

        await until(
            is_so, PATIENCE_SECONDS, "the pods of what was written raw are ready", every=5.0
        )

    async def _found(self, kind: Kind, numbers: range) -> list[Object]:
        """List the objects of a kind where servers with these numbers are."""
        found: list[Object] = []
        for namespace in dict.fromkeys(map(self.namespace, numbers)):
            found += (await self.api.list(kind, namespace, selector=MANAGED))[0]
        return found

    def _manifest(self, number: int, **spec: Any) -> Object:
        return manifest(
            _name(number), self.namespace(number), operatorClass=RAW, **self.spec, **spec
        )

    async def _status(self, own: Object, said: Object) -> None:
        status = {key: value for key, value in own.items() if key != "spec"} | {"status": said}
        await self.api.apply(MCP_SERVER, status, manager="breakwater-status", part="status")


async def sample(api: KubeApi, **spec: Any) -> Sample:
    """Have the operator make one server; keep that and its children, and take it away again.

    Args:
        api: Where.
        spec: What its spec says beside what each says.
    """
    await api.apply(MCP_SERVER, manifest("sample", **spec), manager="user")
    await until(lambda: _observed(api), 120.0, "the first server is observed")
    server = await api.get(MCP_SERVER, NAMESPACE, "sample")
    children = [
        (kind, live)
        for kind in CHILDREN
        for live in (await api.list(kind, NAMESPACE, selector=MANAGED))[0]
    ]
    await api.delete(MCP_SERVER, await api.get(MCP_SERVER, NAMESPACE, "sample"))
    await until(lambda: _is_gone(api, NAMESPACE), 300.0, "the first server is gone")
    return Sample(api, server, children, spec)


async def _timed(numbers: range, one: Callable[[int], Awaitable[None]], what: str) -> float:
    started = time.monotonic()
    await side_by_side(numbers, one, AT_ONCE, what)
    return time.monotonic() - started


def _is_settings(kind: Kind, live: Object) -> bool:
    return kind == CONFIG_MAP and bool(live["metadata"]["name"] == names.live("sample"))


async def _observed(api: KubeApi) -> bool:
    return bool((await api.get(MCP_SERVER, NAMESPACE, "sample")).get("status"))


async def _is_gone(api: KubeApi, namespace: str) -> bool:
    for kind in (MCP_SERVER, *CHILDREN, POD):
        if (await api.list(kind, namespace, selector=MANAGED if kind != MCP_SERVER else ""))[0]:
            return False
    return True


def _name(number: int) -> str:
    return f"s{number}"


def _like(live: Object, owner: Object) -> Object:
    """Make of a child of the sample the same child of another server."""
    own = owner["metadata"]
    made: Object = _renamed({key: live[key] for key in live.keys() - {"status"}}, own["name"])
    metadata = {key: made["metadata"][key] for key in made["metadata"].keys() - _MADE_BY_THE_SERVER}
    metadata["namespace"] = own["namespace"]
    for reference in metadata.get("ownerReferences", ()):
        reference["uid"] = own["uid"]
    made["metadata"] = metadata
    if made["kind"] == "Service" and made["spec"].get("clusterIP") != "None":
        made["spec"] = {
            key: made["spec"][key] for key in made["spec"].keys() - {"clusterIP", "clusterIPs"}
        }
    return made


def _renamed(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, name) for item in value]
    is_ours = isinstance(value, str) and (value == "sample" or value.startswith("sample-"))
    return name + value.removeprefix("sample") if is_ours else value
