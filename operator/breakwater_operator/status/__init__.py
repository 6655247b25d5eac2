"""From facts to conditions, in one ordered list. Pure."""

from breakwater_operator.status.conclude import conclude
from breakwater_operator.status.facts import Facts, Pod, Probe, ServerInfo
from breakwater_operator.status.rollout import Rollout, rollout

__all__ = ["Facts", "Pod", "Probe", "Rollout", "ServerInfo", "conclude", "rollout"]
