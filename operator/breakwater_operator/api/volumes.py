"""Volumes, and where backends see them."""

import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from breakwater_contract.model import Model
from breakwater_contract.rules import (
    ATOMIC,
    exactly_one,
    exactly_one_set,
    list_map,
    quoted,
    rule,
    rules,
)
from breakwater_contract.shapes import Shape
from breakwater_operator.api.fields import DataKey, DnsLabel, DnsSubdomain
from breakwater_operator.api.quantity import ListedBytes

MOUNT_PATH = r"^(/[^/:\x00-\x1f]+)+$"
RELATIVE_PATH = r"^[^/\x00-\x1f]+(/[^/\x00-\x1f]+)*$"

MOUNT_PATH_SHAPE = "write an absolute path without ':' and without a '/' at its end, as in /data"
RELATIVE_PATH_SHAPE = "write a relative path without a '/' at either end, as in models/small"

MountPath = Annotated[str, Shape(MOUNT_PATH, 512, MOUNT_PATH_SHAPE)]
RelativePath = Annotated[str, Shape(RELATIVE_PATH, 512, RELATIVE_PATH_SHAPE)]

TAKEN_PATHS = (
    "/bin", "/dev", "/etc", "/etc/breakwater", "/etc/breakwater-internal", "/etc/breakwater-keys",
    "/lib", "/lib64", "/opt", "/opt/breakwater", "/proc", "/run", "/run/breakwater",
    "/sbin", "/sys",
    "/tmp",  # noqa: S108 (named in order to be refused)
    "/usr", "/usr/bin", "/usr/lib",
    "/usr/local", "/usr/local/bin", "/usr/local/lib", "/var", "/var/run",
)  # fmt: skip
"""A volume here would hide the system, the runtime, its settings, or a folder that is already
writable."""

TAKEN_TREES = (
    "/etc/breakwater/", "/etc/breakwater-internal/", "/etc/breakwater-keys/", "/opt/breakwater/",
    "/proc/", "/run/breakwater/", "/sys/",
)  # fmt: skip
"""Nor may one be anywhere below these."""

VOLUME_PREFIX = "breakwater"
"""Names of our own volumes begin so."""

TAKEN_PATH = (
    "this folder belongs to the system or to Breakwater; mount the volume at a folder of its own, "
    "such as /data"
)
NO_DOTS = "'.' and '..' are not allowed in a path; write it out"
TAKEN_NAME = "names that begin with 'breakwater' are taken; choose another one"
ONE_SOURCE = "write exactly one of persistentVolumeClaim, configMap and emptyDir"

DOTS = "(^|/)[.][.]?(/|$)"
NO_DOTS_RULE = f"!self.{{}}.matches('{DOTS}')"


def has_dots(path: str) -> bool:
    """Say whether a path has steps that lead elsewhere than they say."""
    return re.search(DOTS, path) is not None


class VolumeMount(Model):
    """A volume in the file system of a backend."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!(self.mountPath in {quoted(TAKEN_PATHS)}) && "
                f"!{quoted(TAKEN_TREES)}.exists(tree, self.mountPath.startsWith(tree))",
                TAKEN_PATH,
                ".mountPath",
            ),
            rule(NO_DOTS_RULE.format("mountPath"), NO_DOTS, ".mountPath"),
            rule("!has(self.subPath) || " + NO_DOTS_RULE.format("subPath"), NO_DOTS, ".subPath"),
        )
    )

    name: DnsLabel
    """The volume: a name of `spec.pod.volumes`."""
    mount_path: MountPath
    """The folder at which it appears: an absolute path, one that does not hide the system."""
    read_only: bool = False
    """Whether writing there is forbidden."""
    sub_path: RelativePath | None = None
    """The folder inside the volume that appears, as a relative path; absent: the whole volume."""

    @model_validator(mode="after")
    def _paths(self) -> Self:
        if self.mount_path in TAKEN_PATHS or self.mount_path.startswith(TAKEN_TREES):
            raise ValueError(f"mountPath {self.mount_path}: {TAKEN_PATH}")
        if has_dots(self.mount_path) or has_dots(self.sub_path or ""):
            raise ValueError(NO_DOTS)
        return self


VolumeMounts = Annotated[
    tuple[VolumeMount, ...], Field(max_length=32, json_schema_extra=list_map("mountPath"))
]


class ClaimVolume(Model):
    """A PersistentVolumeClaim in the namespace of the server."""

    claim_name: DnsSubdomain
    """Name of the claim. One that is ReadWriteOnce needs `replicas: 1`, and a change then stops
    the old pod before it starts the new one."""
    read_only: bool = False
    """Whether it is mounted read-only everywhere."""


class KeyToPath(Model):
    """One entry of a ConfigMap as a file."""

    key: DataKey
    """The entry."""
    path: RelativePath
    """The file, relative to the mount."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule(NO_DOTS_RULE.format("path"), NO_DOTS, ".path"))
    )

    @model_validator(mode="after")
    def _no_dots(self) -> Self:
        if has_dots(self.path):
            raise ValueError(f"path {self.path}: {NO_DOTS}")
        return self


class ConfigMapVolume(Model):
    """A ConfigMap in the namespace of the server, its entries as files."""

    name: DnsSubdomain
    """Name of the ConfigMap."""
    items: Annotated[tuple[KeyToPath, ...], Field(max_length=64, json_schema_extra=ATOMIC)] = ()
    """Which entries become files, and where; absent: all of them, each under its key."""
    optional: bool = False
    """Whether pods start without it."""


class EmptyDirVolume(Model):
    """A folder that is empty when a pod starts and gone when it ends."""

    medium: Literal["Memory"] | None = None
    """`Memory` keeps it in RAM and counts towards the memory limit; absent: on the node's disk."""
    size_limit: ListedBytes | None = None
    """A pod that writes more than this, as in `1Gi`, is evicted; absent: no limit."""


class Volume(Model):
    """A volume that backends can mount. Exactly one of its sources is set."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(exactly_one("persistentVolumeClaim", "configMap", "emptyDir"), ONE_SOURCE),
            rule(f"!self.name.startsWith('{VOLUME_PREFIX}')", TAKEN_NAME, ".name"),
        )
    )

    name: DnsLabel
    """What `volumeMounts` call it."""
    persistent_volume_claim: ClaimVolume | None = None
    """A PersistentVolumeClaim, for data that outlives pods."""
    config_map: ConfigMapVolume | None = None
    """A ConfigMap, for files that are part of the deployment."""
    empty_dir: EmptyDirVolume | None = None
    """An empty folder, for what may be lost."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        exactly_one_set(ONE_SOURCE, self.persistent_volume_claim, self.config_map, self.empty_dir)
        if self.name.startswith(VOLUME_PREFIX):
            raise ValueError(f"name {self.name}: {TAKEN_NAME}")
        return self
