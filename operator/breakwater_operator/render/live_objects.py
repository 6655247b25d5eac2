"""The ConfigMap and the Secret whose content running pods take over."""

from collections.abc import Iterable

from breakwater_operator.api import names
from breakwater_operator.render.intent import Intent
from breakwater_operator.render.live import live_settings
from breakwater_operator.render.manifest import Manifest
from breakwater_operator.render.metadata import metadata
from breakwater_operator.render.secrets import SOURCE_ANNOTATION, encoded
from breakwater_operator.render.volumes import LIVE_KEY


def live_config_map(intent: Intent) -> Manifest:
    """Render the live settings."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(intent.server, names.live(intent.server.name)),
        "data": {LIVE_KEY: live_settings(intent).decode()},
    }


def written(manifests: Iterable[Manifest]) -> bytes:
    """Find the live settings among all manifests of a server."""
    return next(
        bytes(manifest["data"][LIVE_KEY], "utf-8")
        for manifest in manifests
        if manifest["kind"] == "ConfigMap" and LIVE_KEY in manifest["data"]
    )


def live_secret(intent: Intent) -> Manifest:
    """Render the copies of the keys, and the key under which pods hash what they have loaded."""
    annotations = {SOURCE_ANNOTATION: intent.keys.secret_name}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(
            intent.server, names.live(intent.server.name), annotations=annotations
        ),
        "type": "Opaque",
        "data": encoded(intent.keys, {**intent.certificate.files, **intent.rate_store.files}),
    }
