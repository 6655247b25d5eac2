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
from breakwater_operator.api.backends import EnvVar
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.api.resources import RESOURCES, Amounts
from breakwater_operator.render.metadata import labels
from breakwater_operator.render.placement import placement
from breakwater_operator.render.probes import probes
from breakwater_operator.render.settings import settings
from breakwater_operator.render.volumes import mounts, volumes

CONTAINER = "runtime"

STOP_MARGIN_SECONDS = 5
"""Between the end of the drain and the kill: for the process to leave."""

UID_VARIABLE = "MCP_POD_UID"
ADDRESS_VARIABLE = "MCP_POD_IP"

DEFAULT_REQUESTS = {"cpu": "100m", "memory": "128Mi"}
DEFAULT_LIMITS = {"memory": "512Mi"}
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
            "containers": [_container(server, platform)],
            "volumes": volumes(server),
        },
    }


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
    env = [_variable(it) for backend in server.spec.backends for it in backend.python.env]
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
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # What a crashing process said last is then in its status, and so in ours.
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts(server),
    }


def _of_the_pod(name: str, path: str) -> dict[str, Any]:
    """Make a variable of a field of the pod: a file cannot hold its address."""
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def resources(server: McpServer, platform: Platform) -> dict[str, Any]:
    """Resources of the runtime's container.

    The platform's count for what the manifest says nothing about, and ours for what neither does.
    """
    requests, limits = dict(DEFAULT_REQUESTS), dict(DEFAULT_LIMITS)
    for chosen in (platform.resources, server.spec.pod.resources):
        asked, allowed = _amounts(chosen.requests), _amounts(chosen.limits)
        named = asked.keys() | allowed.keys()
        requests = _without(requests, named) | asked
        limits = _without(limits, named) | allowed
    return {
        kind: amounts for kind, amounts in (("requests", requests), ("limits", limits)) if amounts
    }


def _amounts(chosen: Amounts) -> dict[str, str]:
    found = {name: getattr(chosen, field) for name, field in RESOURCES.items()}
    return {name: value for name, value in found.items() if value is not None}


def _without(defaults: dict[str, str], named: set[str]) -> dict[str, str]:
    return {name: value for name, value in defaults.items() if name not in named}


def _variable(variable: EnvVar) -> dict[str, Any]:
    source = variable.value_from
    if source is None:
        # An empty value is not kept by the API server, and means the same.
        return {"name": variable.name, **({"value": variable.value} if variable.value else {})}
    given = source.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"name": variable.name, "valueFrom": given}


def _pull_secrets(platform: Platform) -> dict[str, Any]:
    secrets = [{"name": name} for name in platform.images.pull_secrets]
    return {"imagePullSecrets": secrets} if secrets else {}
