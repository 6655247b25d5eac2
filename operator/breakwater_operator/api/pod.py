"""The parts of a pod that users may choose."""

from typing import Annotated

from pydantic import Field

from breakwater_contract.model import Model
from breakwater_operator.api.fields import DnsLabel, DnsSubdomain


class VolumeMount(Model):
    """Where a volume appears."""

    name: DnsLabel
    """A volume of `spec.pod.volumes`."""
    mount_path: Annotated[str, Field(max_length=512)]
    """Where it appears."""
    read_only: bool = False
    """Whether it cannot be written there."""
    sub_path: Annotated[str, Field(max_length=512)] | None = None
    """The folder of the volume that appears; absent: all of it."""


class ClaimVolume(Model):
    """A PersistentVolumeClaim in the server's namespace."""

    claim_name: DnsSubdomain
    """Name of the claim."""
    read_only: bool = False
    """Whether it is mounted read-only everywhere."""


class Volume(Model):
    """A volume of the pods; exactly one source."""

    name: DnsLabel
    """What mounts call it."""
    persistent_volume_claim: ClaimVolume | None = None
    """A claim."""


class PodSpec(Model):
    """What the pods get."""

    volumes: Annotated[tuple[Volume, ...], Field(max_length=32)] = ()
    """Volumes that backends can mount."""
