"""What goes on running while claims are not as a manifest needs them."""

from collections.abc import Mapping

from breakwater_operator.api.errors import SpecError
from breakwater_operator.api.models import McpServer
from breakwater_operator.render import claims
from breakwater_operator.render.claims import Claim
from breakwater_operator.render.revision import Revision


def possible(server: McpServer, found: Mapping[str, Claim], running: Revision | None) -> McpServer:
    """Keep a server true whose running pods mount claims that no more than one pod can.

    Keys are withdrawn and drift is repaired meanwhile; it has as many pods as are possible.

    Args:
        server: The server.
        found: Its claims by name; one that does not exist is absent.
        running: The revision of its pods.

    Raises:
        SpecError: It has no pods yet, or pods that do not mount such a claim: these stay as they
            are until the manifest is corrected.
    """
    crowded = claims.crowded(server, found)
    if not crowded:
        return server
    if running is None or not claims.mounted(running.template).issuperset(crowded):
        raise SpecError(claims.faults(server, found))
    fewer = {"replicas": claims.REPLICAS_MAX, "autoscaling": None}
    return server.model_copy(update={"spec": server.spec.model_copy(update=fewer)})


def kept(wanted: Revision, found: Mapping[str, Claim], running: Revision | None) -> Revision:
    """Choose the revision to run: the old one while a claim is missing that only the new one needs.

    Its pods serve, and no pod of the new one could start.
    """
    missing = claims.mounted(wanted.template) - found.keys()
    if running is None or missing <= claims.mounted(running.template):
        return wanted
    return running
