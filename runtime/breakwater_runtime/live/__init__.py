"""Live settings: read from files, understood, taken over whole."""

from breakwater_runtime.live.content import Source
from breakwater_runtime.live.live import Live
from breakwater_runtime.live.loaded import Loaded

__all__ = ["Live", "Loaded", "Source"]
