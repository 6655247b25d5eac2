"""Several backends, served as one."""

from breakwater_runtime.backends.gateway.gateway import Gateway
from breakwater_runtime.backends.gateway.members import Member
from breakwater_runtime.backends.gateway.names import clashes

__all__ = ["Gateway", "Member", "clashes"]
