"""The Secret that the pods of one server share, and nobody else has."""

from breakwater_operator.api import names
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import metadata


def internal_secret(intent: Intent) -> Manifest:
    """Render key ring and certificate, with what a rotation has to remember."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(intent.server, names.internal(intent.server.name)),
        "type": "Opaque",
        "data": intent.ring.data(),
    }
