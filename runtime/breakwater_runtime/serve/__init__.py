"""One process, from what it starts with until it leaves."""

from breakwater_runtime.serve.serving import drain_times, serve
from breakwater_runtime.serve.start import Identity, Start

__all__ = ["Identity", "Start", "drain_times", "serve"]
