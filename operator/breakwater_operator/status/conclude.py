"""The whole status of a server."""

from collections.abc import Callable, Mapping
from typing import Any

from breakwater_contract.names import MCP_PATH
from breakwater_operator.api import names
from breakwater_operator.api.conditions import Condition, written
from breakwater_operator.api.status import NAME_MAX, VERSION_MAX, VERSIONS_MAX
from breakwater_operator.status import pods
from breakwater_operator.status.conditions import (
    accepted,
    available,
    degraded,
    progressing,
    verified,
    verified_pod,
)
from breakwater_operator.status.facts import Facts
from breakwater_operator.status.ready import ready

CONDITIONS: tuple[Callable[[Facts], Condition], ...] = (
    accepted,
    available,
    verified,
    progressing,
    degraded,
    ready,
)
"""All of them, in the order in which they are written."""


def conclude(facts: Facts) -> dict[str, Any]:
    """Write the status that follows from the facts.

    Facts that say the same give the same status, so that nothing is written while nothing changes.
    What is not known in this pass stays as it was.
    """
    observed = (facts.deployment or {}).get("status") or {}
    status = {
        "observedGeneration": facts.generation,
        "conditions": written(
            [condition(facts) for condition in CONDITIONS],
            facts.generation,
            facts.previous.get("conditions") or (),
            facts.now,
        ),
        "address": _address(facts),
        "keys": _keys(facts),
        "revision": facts.revision or facts.previous.get("revision"),
        "replicas": observed.get("replicas", 0),
        "readyReplicas": observed.get("readyReplicas", 0),
        "sessions": _sessions(facts),
        "selector": names.selector(names.slot_labels(facts.name, facts.slot)),
        "server": _server(facts),
    }
    return {key: value for key, value in status.items() if value is not None}


def _address(facts: Facts) -> Mapping[str, Any] | None:
    if facts.server is None:
        return facts.previous.get("address")
    expose = facts.server.spec.expose
    outside = f"https://{expose.host}{MCP_PATH}" if expose is not None else None
    inside = names.url(facts.name, facts.namespace, tls=facts.server.tls is not None)
    return {"url": inside, **({"externalUrl": outside} if outside is not None else {})}


def _keys(facts: Facts) -> Mapping[str, Any] | None:
    if facts.key_secret is None:
        return facts.previous.get("keys")
    return {"secretName": facts.key_secret}


def _sessions(facts: Facts) -> int | None:
    probes = [pod.probe for pod in pods.living(facts.pods) if pod.probe is not None]
    told = [probe.sessions for probe in probes if probe.sessions is not None]
    return _rounded(sum(told)) if told else None


def _rounded(count: int) -> int:
    """Keep two digits: nobody needs a write of the status for the 1,001st session."""
    unit: int = 10 ** max(0, len(str(count)) - 2)
    return count // unit * unit


def _server(facts: Facts) -> Mapping[str, Any] | None:
    pod = verified_pod(facts)
    server = pod.probe.server if pod is not None and pod.probe is not None else None
    if server is None:
        return facts.previous.get("server")
    # A server says of itself what it likes; what the API server refuses would keep the whole status
    # from being written.
    versions = [version[:VERSION_MAX] for version in server.protocol_versions[:VERSIONS_MAX]]
    return {
        "name": server.name[:NAME_MAX],
        "version": server.version[:NAME_MAX],
        "protocolVersions": versions,
        "tools": server.tools,
    }
