"""The pod template of one revision.

Every default that the API server would fill in inside our container is written out, so that
whatever else stands there was added by somebody (see `exclusive`).
"""

import math
from typing import Any

from breakwater_contract.names import (
    CONFIG_DIRECTORY,
    CONFIG_FILE,
    DRAIN_OPEN_SECONDS,
    INTERNAL_PORT,
    INTERNAL_PORT_NAME,
    MANAGEMENT_PORT,
    MANAGEMENT_PORT_NAME,
    PUBLIC_PORT,
    PUBLIC_PORT_NAME,
    REVISION_LABEL,
    RUN_AS,
    SETTINGS_ANNOTATION,
)
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.render.containers import RESTRICTED, TERMINATION, init_containers
from breakwater_operator.render.metadata import labels
from breakwater_operator.render.placement import placement
from breakwater_operator.render.probes import probes
from breakwater_operator.render.resources import Defaults, chosen
from breakwater_operator.render.settings import settings
from breakwater_operator.render.variables import variable
from breakwater_operator.render.volumes import mounts, volumes

CONTAINER = "runtime"

STOP_MARGIN_SECONDS = 5
"""Between the end of the drain and the kill: for the process to leave."""

UID_VARIABLE = "MCP_POD_UID"
ADDRESS_VARIABLE = "MCP_POD_IP"

DEFAULTS = Defaults({"cpu": "100m", "memory": "128Mi"}, {"memory": "512Mi"})
"""No limit of cpu: a throttled server misses its objectives while its node idles."""


def image(server: McpServer, platform: Platform) -> str:
    """The runtime image of a server."""
    return server.spec.runtime.image or platform.images.runtime


def template(server: McpServer, platform: Platform, revision: str) -> dict[str, Any]:
    """Render the pod template of a revision, without the label of a slot."""
    return {
        "metadata": {
            "labels": {**server.spec.pod.labels, **labels(server), REVISION_LABEL: revision},
            "annotations": {
                **server.spec.pod.annotations,
                SETTINGS_ANNOTATION: settings(server, revision),
            },
        },
        "spec": {
            "serviceAccountName": server.name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "dnsPolicy": "ClusterFirst",
            "terminationGracePeriodSeconds": _grace_seconds(server),
            "securityContext": _security(server),
            **placement(server),
            **_pull_secrets(platform),
            **_init_containers(server, platform),
            "containers": [_container(server, platform)],
            "volumes": volumes(server),
        },
    }


def _init_containers(server: McpServer, platform: Platform) -> dict[str, Any]:
    found = init_containers(server, platform, image(server, platform), resources(server, platform))
    return {"initContainers": found} if found else {}


def _grace_seconds(server: McpServer) -> int:
    drain = math.ceil(server.spec.limits.sessions.drain.seconds)
    return DRAIN_OPEN_SECONDS + drain + STOP_MARGIN_SECONDS


def _security(server: McpServer) -> dict[str, Any]:
    chosen = server.spec.pod.security_context
    return {
        "runAsNonRoot": True,
        "runAsUser": chosen.run_as_user or RUN_AS,
        "runAsGroup": chosen.run_as_group or RUN_AS,
        "fsGroup": chosen.fs_group or RUN_AS,
        "fsGroupChangePolicy": chosen.fs_group_change_policy,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container(server: McpServer, platform: Platform) -> dict[str, Any]:
    python = [backend.python for backend in server.spec.backends if backend.python is not None]
    env = [variable(it) for each in python for it in each.env]
    return {
        "name": CONTAINER,
        "image": image(server, platform),
        "imagePullPolicy": platform.images.pull_policy,
        "args": [
            *("--config", f"{CONFIG_DIRECTORY}/{CONFIG_FILE}"),
            *("--pod-uid", f"$({UID_VARIABLE})", "--pod-address", f"$({ADDRESS_VARIABLE})"),
        ],
        "env": [
            _of_the_pod(UID_VARIABLE, "metadata.uid"),
            _of_the_pod(ADDRESS_VARIABLE, "status.podIP"),
            *env,
        ],
        "ports": [
            {"name": PUBLIC_PORT_NAME, "containerPort": PUBLIC_PORT, "protocol": "TCP"},
            {"name": MANAGEMENT_PORT_NAME, "containerPort": MANAGEMENT_PORT, "protocol": "TCP"},
            {"name": INTERNAL_PORT_NAME, "containerPort": INTERNAL_PORT, "protocol": "TCP"},
        ],
        **probes(),
        "resources": resources(server, platform),
        "securityContext": RESTRICTED,
        **TERMINATION,
        "volumeMounts": mounts(server),
    }


def _of_the_pod(name: str, path: str) -> dict[str, Any]:
    """Make a variable of a field of the pod: a file cannot hold its address."""
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def resources(server: McpServer, platform: Platform) -> dict[str, Any]:
    """Resources of the runtime's container.

    The platform's count for what the manifest says nothing about, and ours for what neither does.
    """
    return chosen(DEFAULTS, platform.resources, server.spec.pod.resources)


def _pull_secrets(platform: Platform) -> dict[str, Any]:
    secrets = [{"name": name} for name in platform.images.pull_secrets]
    return {"imagePullSecrets": secrets} if secrets else {}
