"""What must be well before requests come."""

from collections.abc import Sequence
from functools import partial

from breakwater_contract.settings import RuntimeSettings
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.http.issuer_keys import IssuerKeys
from breakwater_runtime.http.shared_buckets import Rates
from breakwater_runtime.live import Live
from breakwater_runtime.management.drain import Drain
from breakwater_runtime.management.health import Check, Health
from breakwater_runtime.observability.telemetry import Telemetry


def register_checks(
    health: Health,
    live: Live,
    backends: Sequence[Backend],
    settings: RuntimeSettings,
    drain: Drain,
    issuer_keys: IssuerKeys,
    telemetry: Telemetry,
    rates: Rates,
) -> None:
    """Say what must be well before requests come, and what is worth a look."""
    health.register(Check("draining", lambda: "it was told to stop" if drain.begun else None))
    _register_backends(health, backends, settings)
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
