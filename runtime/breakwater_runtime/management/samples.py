"""What others know of the process, as metrics: health and the use of pools."""

from collections.abc import Callable, Sequence

from breakwater_contract import process_metrics as catalogue
from breakwater_runtime.backends.backend import Backend, PoolUse
from breakwater_runtime.management.health import Health
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.observability.series import Values


def watch_health(metrics: Metrics, health: Health) -> None:
    """Have every check's state read when it is asked for."""
    metrics.sampled(
        catalogue.HEALTH_CHECK,
        lambda: {(name,): float(fault is None) for name, fault in health.faults().items()},
    )
    metrics.sampled(catalogue.READY, health.ready)


def watch_pools(metrics: Metrics, backends: Sequence[Backend]) -> None:
    """Have the use of the backends' pools read when it is asked for."""

    def read(part: Callable[[PoolUse], int]) -> Callable[[], Values]:
        def values() -> Values:
            return {
                (f"{backend.name}/{name}",): float(part(use))
                for backend in backends
                for name, use in backend.pools.items()
            }

        return values

    metrics.sampled(catalogue.POOL_USED, read(lambda use: use.used))
    metrics.sampled(catalogue.POOL_OPEN, read(lambda use: use.open))
    metrics.sampled(catalogue.POOL_LIMIT, read(lambda use: use.limit))
    metrics.sampled(catalogue.POOL_WAITING, read(lambda use: use.waiting))
