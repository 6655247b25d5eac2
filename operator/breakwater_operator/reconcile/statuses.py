"""Writing the status of a server, when and only when it says something else."""

from typing import Any

from breakwater_operator.api.names import STATUS_MANAGER
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.kinds import MCP_SERVER
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.servers import Servers

Object = dict[str, Any]


class Statuses:
    """Writes statuses, bound to the state of the server that they were concluded from."""

    def __init__(self, api: KubeApi, servers: Servers) -> None:
        """Remember nothing yet.

        Args:
            api: Where to write.
            servers: Where answers are put.
        """
        self._api = api
        self._servers = servers
        self._futile: dict[Key, tuple[Object, Object | None]] = {}

    async def write(self, live: Object, status: Object) -> bool:
        """Write a status where it differs; say whether it was written.

        Raises:
            ApiError: It could not be written; 409 when the server changed meanwhile.
        """
        metadata = live["metadata"]
        key = metadata["namespace"], metadata["name"]
        was = live.get("status")
        # A status that the API server stores in another way is not written again and again.
        if status == was or self._futile.get(key) == (status, was):
            return False
        names = ("namespace", "name", "uid", "resourceVersion")
        manifest = {
            "apiVersion": MCP_SERVER.api_version,
            "kind": MCP_SERVER.name,
            "metadata": {name: metadata[name] for name in names},
            "status": status,
        }
        answer = await self._api.apply(MCP_SERVER, manifest, manager=STATUS_MANAGER, part="status")
        self._servers.wrote(answer)
        self._futile.pop(key, None)
        if answer.get("status") != status:
            self._futile[key] = (status, answer.get("status"))
        return True

    def forget(self, key: Key) -> None:
        """Forget a server that is gone."""
        self._futile.pop(key, None)
