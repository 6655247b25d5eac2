"""The Secret with the generated key, where the user names no Secret of his own."""

import base64

from breakwater_operator.api.names import GENERATED_KEY
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import metadata
from breakwater_operator.render.secrets import GENERATED_ANNOTATION, digest


def key_secret(intent: Intent) -> Manifest | None:
    """Render the Secret; None where the user brings the keys, and has brought them."""
    if not intent.keys.generated:
        return None
    key = intent.keys.principals[GENERATED_KEY]
    annotations = {GENERATED_ANNOTATION: digest(key)}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(
            intent.server,
            intent.keys.secret_name,
            annotations=annotations,
            outlives=intent.server.spec.access.keys.retain,
        ),
        "type": "Opaque",
        "data": {GENERATED_KEY: base64.b64encode(key).decode()},
    }
