"""How a server is watched."""

from typing import Annotated, Literal

from breakwater_contract.monitoring import Monitoring as RuntimeMonitoring
from breakwater_contract.units import Between, Duration


class Monitoring(RuntimeMonitoring):
    """How the server is watched."""

    scrape: Literal["ServiceMonitor", "PodMonitor", "None"] = "ServiceMonitor"
    """By what Prometheus learns of the pods, where its operator is installed. `None`: by nothing of
    ours; Service `<name>-metrics` leads to all pods anyway."""
    scrape_interval: Annotated[Duration, Between("1s", "1h")] = Duration("30s")
    """How often it looks."""

    def for_runtime(self) -> RuntimeMonitoring:
        """Say the same as the runtime is told it."""
        shared = {name: getattr(self, name) for name in RuntimeMonitoring.model_fields}
        return RuntimeMonitoring(**shared)
