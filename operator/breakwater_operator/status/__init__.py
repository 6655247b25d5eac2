"""From facts to conditions, in one ordered list. Pure."""

from breakwater_operator.status.conclude import conclude
from breakwater_operator.status.facts import Facts, Pod, Probe, ServerInfo

__all__ = ["Facts", "Pod", "Probe", "ServerInfo", "conclude"]
