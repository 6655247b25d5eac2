"""What must be well before requests come."""

from collections.abc import Sequence
from functools import partial

from breakwater_contract.settings import RuntimeSettings
from breakwater_runtime.app.process import Process
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.management.health import Check, Health


def register_checks(process: Process) -> None:
    """Say what must be well before requests come, and what is worth a look."""
    health, live, rates = process.health, process.live, process.rates
    drain, issuer_keys, telemetry = process.drain, process.issuer_keys, process.telemetry
    health.register(Check("draining", lambda: "it was told to stop" if drain.begun else None))
    _register_backends(health, process.backends, process.settings)
    health.register(Check("keys", lambda: live.key_fault))
    # The last good settings still hold: no reason to send requests elsewhere.
    health.register(Check("live settings", lambda: live.fault, gates_traffic=False))
    # So do the last good keys; and who has a key of ours needs no issuer.
    health.register(Check("issuer keys", lambda: issuer_keys.fault, gates_traffic=False))
    # Nor does a call wait for the collector.
    health.register(Check("telemetry", lambda: telemetry.fault, gates_traffic=False))
    # All replicas ask the same store: none would be left.
    health.register(Check("shared rates", lambda: rates.shared.fault, gates_traffic=False))


def _register_backends(
    health: Health, backends: Sequence[Backend], settings: RuntimeSettings
) -> None:
    """Say whether each backend is well; one that is not takes the others out only by choice."""
    needs_all = settings.gateway is not None and settings.gateway.ready == "All"
    gates = len(backends) == 1 or needs_all
    for backend in backends:
        check = Check(f"backend {backend.name}", partial(_fault, backend), gates_traffic=gates)
        health.register(check)
    if not gates:

        def none() -> str | None:
            return "none can answer" if all(backend.fault for backend in backends) else None

        health.register(Check("backends", none))


def _fault(backend: Backend) -> str | None:
    return backend.fault
