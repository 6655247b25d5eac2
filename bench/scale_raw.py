"""The writes of an operator without the operator: what the API server itself takes for them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bench.scale_ground import AT_ONCE, NAMESPACE, manifest, side_by_side, until
from breakwater_operator.kube.kinds import CHILDREN, MCP_SERVER, POD, Kind

if TYPE_CHECKING:
    from breakwater_operator.kube.api import KubeApi

Object = dict[str, Any]

RAW = "raw"
"""The namespace for it, and the operator class that is nobody's."""

MANAGED = "app.kubernetes.io/managed-by=breakwater"
_MADE_BY_THE_SERVER = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"}
)


async def sample(api: KubeApi) -> tuple[Object, list[tuple[Kind, Object]]]:
    """Have the operator make one server; give that and its children, and take it away again."""
    await api.apply(MCP_SERVER, manifest("sample"), manager="user")
    await until(lambda: _observed(api), 120.0, "the first server is observed")
    server = await api.get(MCP_SERVER, NAMESPACE, "sample")
    children = [
        (kind, live)
        for kind in CHILDREN
        for live in (await api.list(kind, NAMESPACE, selector=MANAGED))[0]
    ]
    await api.delete(MCP_SERVER, await api.get(MCP_SERVER, NAMESPACE, "sample"))
    await until(lambda: _is_gone(api, NAMESPACE), 300.0, "the first server is gone")
    return server, children


async def seconds(
    api: KubeApi, server: Object, children: list[tuple[Kind, Object]], count: int
) -> float:
    """Write so many servers, their children and their statuses; say how long it took."""

    async def one(number: int) -> None:
        name = f"s{number}"
        own = manifest(name, operatorClass=RAW)
        own["metadata"]["namespace"] = RAW
        owner = await api.apply(MCP_SERVER, own, manager="user")
        for kind, live in children:
            await api.apply(kind, _like(live, name, owner), manager="breakwater")
        status = {key: value for key, value in own.items() if key != "spec"}
        status["status"] = server["status"]
        await api.apply(MCP_SERVER, status, manager="breakwater-status", part="status")

    started = time.monotonic()
    await side_by_side(range(count), one, AT_ONCE, "servers written raw")
    return time.monotonic() - started


async def _observed(api: KubeApi) -> bool:
    return bool((await api.get(MCP_SERVER, NAMESPACE, "sample")).get("status"))


async def _is_gone(api: KubeApi, namespace: str) -> bool:
    for kind in (MCP_SERVER, *CHILDREN, POD):
        if (await api.list(kind, namespace, selector=MANAGED if kind != MCP_SERVER else ""))[0]:
            return False
    return True


def _like(live: Object, name: str, owner: Object) -> Object:
    """Make of a child of the sample the same child of another server."""
    made: Object = _renamed({key: live[key] for key in live.keys() - {"status"}}, name)
    metadata = {key: made["metadata"][key] for key in made["metadata"].keys() - _MADE_BY_THE_SERVER}
    metadata["namespace"] = RAW
    for reference in metadata.get("ownerReferences", ()):
        reference["uid"] = owner["metadata"]["uid"]
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
