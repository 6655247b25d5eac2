"""When kubelet takes a pod for started, ready, alive: asked on the management port."""

from typing import Any

from breakwater_contract.names import (
    HEALTH_LIVE_PATH,
    HEALTH_READY_PATH,
    MANAGEMENT_PORT_NAME,
)


def probes() -> dict[str, Any]:
    """The three probes of the runtime's container, every default written out."""
    return {
        # A backend may import large packages: two minutes until the process counts as stuck.
        "startupProbe": _probe(HEALTH_LIVE_PATH, period=1, timeout=1, failures=120),
        # Out of the Service within five seconds of a fault.
        "readinessProbe": _probe(HEALTH_READY_PATH, period=2, timeout=2, failures=2),
        # A busy process is not a dead one: a minute without any answer.
        "livenessProbe": _probe(HEALTH_LIVE_PATH, period=10, timeout=5, failures=6),
    }


def _probe(path: str, period: int, timeout: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": MANAGEMENT_PORT_NAME, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "successThreshold": 1,
        "failureThreshold": failures,
    }
