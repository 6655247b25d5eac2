"""The ports of one process, and what they share."""

from breakwater_runtime.app.checks import register_checks
from breakwater_runtime.app.inside import Inside, inside, local
from breakwater_runtime.app.internal_port import internal
from breakwater_runtime.app.management_port import management
from breakwater_runtime.app.process import Process, homes, issuer_keys, sharing
from breakwater_runtime.app.public_port import PATHS, public, refusing

__all__ = [
    "PATHS",
    "Inside",
    "Process",
    "homes",
    "inside",
    "internal",
    "issuer_keys",
    "local",
    "management",
    "public",
    "refusing",
    "register_checks",
    "sharing",
]
