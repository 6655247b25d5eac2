"""All children of one server."""

from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest


def children(intent: Intent) -> tuple[Manifest, ...]:
    """Render every child, in the order in which they are to be applied.

    What pods mount comes before the Deployment, so that no pod ever starts without it. The same
    intent always gives the same manifests, byte for byte.
    """
    raise NotImplementedError
