"""How tests change the limits of a process."""

from dataclasses import replace

from breakwater_contract.limits import Limits
from breakwater_runtime.app import Process
from breakwater_runtime.http.limits import WireLimits


def limit(process: Process, limits: Limits) -> None:
    """Have the process take over other limits, as if they had been loaded."""
    process.live.loaded = replace(process.live.loaded, limits=limits, wire=WireLimits.of(limits))
