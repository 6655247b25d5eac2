"""The volumes of a pod: ours, and those that the user chose."""

from typing import Any

from breakwater_contract.names import (
    CONFIG_DIRECTORY,
    CONFIG_FILE,
    INTERNAL_DIRECTORY,
    INTERNAL_FILES,
    KEYS_DIRECTORY,
    LIVE_FILE,
    SETTINGS_ANNOTATION,
)
from breakwater_contract.settings import SETTINGS_VERSION
from breakwater_operator.api import names
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.volumes import ConfigMapVolume, EmptyDirVolume, Volume
from breakwater_operator.render import containers, remotes
from breakwater_operator.render.containers import runtime_mounts
from breakwater_operator.render.mounts import mount

SETTINGS_VOLUME = "breakwater"
KEYS_VOLUME = "breakwater-keys"
INTERNAL_VOLUME = "breakwater-internal"
TMP_VOLUME = "breakwater-tmp"

TMP_PATH = "/tmp"  # noqa: S108 (the pod's own)
TMP_SIZE = "64Mi"

OWNER_AND_GROUP = 0o440
EVERYBODY = 0o644

LIVE_KEY = f"v{SETTINGS_VERSION}.json"
"""The entry of the ConfigMap `<name>-live` that today's runtime reads."""


def volumes(server: McpServer) -> list[dict[str, Any]]:
    """All volumes of a server's pods."""
    ours: list[dict[str, Any]] = [
        {"name": SETTINGS_VOLUME, "projected": _settings(server)},
        {
            "name": KEYS_VOLUME,
            "secret": {"secretName": names.live(server.name), "defaultMode": OWNER_AND_GROUP},
        },
        {
            "name": INTERNAL_VOLUME,
            "secret": {
                "secretName": names.internal(server.name),
                "defaultMode": OWNER_AND_GROUP,
                # One by one: what the next generation will be is no business of the pods'.
                "items": [{"key": file, "path": file} for file in INTERNAL_FILES],
            },
        },
        {"name": TMP_VOLUME, "emptyDir": {"sizeLimit": TMP_SIZE}},
    ]
    backends = [*containers.volumes(server), *remotes.volumes(server)]
    return [*ours, *backends, *(_chosen(volume) for volume in server.spec.pod.volumes)]


def mounts(server: McpServer) -> list[dict[str, Any]]:
    """Where they appear in the runtime's container."""
    ours: list[dict[str, Any]] = [
        {"name": SETTINGS_VOLUME, "mountPath": CONFIG_DIRECTORY, "readOnly": True},
        {"name": KEYS_VOLUME, "mountPath": KEYS_DIRECTORY, "readOnly": True},
        {"name": INTERNAL_VOLUME, "mountPath": INTERNAL_DIRECTORY, "readOnly": True},
        {"name": TMP_VOLUME, "mountPath": TMP_PATH},
    ]
    python = [backend.python for backend in server.spec.backends if backend.python is not None]
    chosen = [it for each in python for it in each.volume_mounts]
    return [*ours, *runtime_mounts(server), *remotes.mounts(server), *map(mount, chosen)]


def _settings(server: McpServer) -> dict[str, Any]:
    annotation = {
        "apiVersion": "v1",
        "fieldPath": f"metadata.annotations['{SETTINGS_ANNOTATION}']",
    }
    live = {
        "name": names.live(server.name),
        "items": [{"key": LIVE_KEY, "path": LIVE_FILE}],
    }
    return {
        "defaultMode": OWNER_AND_GROUP,
        "sources": [
            {"downwardAPI": {"items": [{"path": CONFIG_FILE, "fieldRef": annotation}]}},
            {"configMap": live},
        ],
    }


def _chosen(volume: Volume) -> dict[str, Any]:
    if volume.persistent_volume_claim is not None:
        claim = volume.persistent_volume_claim
        source: dict[str, Any] = {"claimName": claim.claim_name}
        return {
            "name": volume.name,
            "persistentVolumeClaim": source | ({"readOnly": True} if claim.read_only else {}),
        }
    if volume.config_map is not None:
        return {"name": volume.name, "configMap": _config_map(volume.config_map)}
    return {"name": volume.name, "emptyDir": _empty_dir(volume.empty_dir or EmptyDirVolume())}


def _config_map(source: ConfigMapVolume) -> dict[str, Any]:
    items = [{"key": item.key, "path": item.path} for item in source.items]
    return {
        "name": source.name,
        "defaultMode": EVERYBODY,
        **({"items": items} if items else {}),
        **({"optional": True} if source.optional else {}),
    }


def _empty_dir(source: EmptyDirVolume) -> dict[str, Any]:
    return {
        **({"medium": source.medium} if source.medium else {}),
        **({"sizeLimit": source.size_limit} if source.size_limit else {}),
    }
