"""Volumes in the file systems of containers."""

from typing import Any

from breakwater_operator.api.volumes import VolumeMount


def mount(chosen: VolumeMount) -> dict[str, Any]:
    """Write a mount as Kubernetes has it."""
    return {
        "name": chosen.name,
        "mountPath": chosen.mount_path,
        **({"readOnly": True} if chosen.read_only else {}),
        **({"subPath": chosen.sub_path} if chosen.sub_path else {}),
    }
