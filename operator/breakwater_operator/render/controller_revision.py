"""The ControllerRevision: what one revision was rendered to, kept so that it can be again."""

from breakwater_contract.names import REVISION_LABEL
from breakwater_operator.api import names
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import metadata


def controller_revision(intent: Intent) -> Manifest:
    """Render the ControllerRevision of the current revision."""
    revision = intent.revision
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata(
            intent.server,
            names.controller_revision(intent.server.name, revision.name),
            {REVISION_LABEL: revision.name},
        ),
        "revision": revision.number,
        "data": dict(revision.data),
    }
