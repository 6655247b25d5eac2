"""All children of one server."""

from breakwater_operator.api.errors import SpecError
from breakwater_operator.render import claims
from breakwater_operator.render.controller_revision import controller_revision
from breakwater_operator.render.deployment import deployment
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.internal_secret import internal_secret
from breakwater_operator.render.key_secret import key_secret
from breakwater_operator.render.live_objects import live_config_map, live_secret
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.service import service
from breakwater_operator.render.service_account import service_account


def children(intent: Intent) -> tuple[Manifest, ...]:
    """Render every child, in the order in which they are to be applied.

    What pods mount comes before the Deployment, so that no pod ever starts without it; the key
    comes before its copy, so that a pass that is cut short finds it again. The same intent always
    gives the same manifests.

    Raises:
        SpecError: The spec asks something of the cluster's objects that they cannot give.
    """
    if faults := claims.faults(intent.server, intent.claims):
        raise SpecError(faults)
    rendered = (
        service_account(intent),
        key_secret(intent),
        live_secret(intent),
        internal_secret(intent),
        live_config_map(intent),
        controller_revision(intent),
        service(intent),
        deployment(intent),
    )
    return tuple(manifest for manifest in rendered if manifest is not None)
