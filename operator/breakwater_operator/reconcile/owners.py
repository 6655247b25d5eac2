"""Making sure of a server right before something of it is written: our watch may be late."""

from dataclasses import dataclass
from typing import Any

from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import MCP_SERVER
from breakwater_operator.reconcile.seen import OwnerGoneError
from breakwater_operator.reconcile.servers import Servers

Object = dict[str, Any]


@dataclass(frozen=True)
class Owners:
    """Reads McpServers once more."""

    api: KubeApi
    servers: Servers

    async def confirm(self, owner: Object) -> None:
        """Make sure that a server is still there, and is what we know of it.

        Raises:
            OwnerGoneError: It is gone, or another one, or is being deleted.
            ApiError: It is newer than we knew, status 409; or it could not be read.
        """
        metadata = owner["metadata"]
        try:
            found = await self.api.get(MCP_SERVER, metadata["namespace"], metadata["name"])
        except ApiError as error:
            if not error.not_found:
                raise
            self.servers.gone(owner)
            raise OwnerGoneError from error
        if found["metadata"]["uid"] != metadata["uid"]:
            self.servers.gone(owner)
            self.servers.saw(found)
            raise OwnerGoneError
        if found["metadata"].get("deletionTimestamp"):
            self.servers.saw(found)
            raise OwnerGoneError
        if is_doubtful(owner) and found["metadata"]["generation"] != metadata["generation"]:
            self.servers.saw(found)
            where = f"McpServer {metadata['namespace']}/{metadata['name']}"
            raise ApiError(f"{where}: it is newer than the watch told", status=409)


def is_doubtful(owner: Object) -> bool:
    """Whether all was done that a server asks for, as far as we know.

    A child that differs then was changed by somebody; or by another replica, for a change that our
    watch has not told of.
    """
    observed = (owner.get("status") or {}).get("observedGeneration")
    return bool(observed == owner["metadata"].get("generation"))
