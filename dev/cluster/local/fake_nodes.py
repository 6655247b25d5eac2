"""Making and removing the nodes that kwok plays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.cluster.local import addons

if TYPE_CHECKING:
    from dev.cluster.api import Api
    from dev.cluster.local.site import Site

_NODES = "/api/v1/nodes"


def scale(api: Api, site: Site) -> None:
    """Make there be as many fake nodes as were asked for."""
    listed = api.get(f"{_NODES}?labelSelector={addons.FAKE_NODE_LABEL}")
    present = {item["metadata"]["name"] for item in listed["items"]}
    wanted = [addons.fake_node(site, number) for number in range(site.record.fake_nodes)]
    names = {item["metadata"]["name"] for item in wanted}
    for item in wanted:
        if item["metadata"]["name"] not in present:
            api.create(_NODES, item)
    for name in present - names:
        api.delete(f"{_NODES}/{name}")
