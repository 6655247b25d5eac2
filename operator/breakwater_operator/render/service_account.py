"""The ServiceAccount: an identity of its own for each server, without any right."""

from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import metadata


def service_account(intent: Intent) -> Manifest:
    """Render the ServiceAccount."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(intent.server, intent.server.name),
        "automountServiceAccountToken": False,
    }
