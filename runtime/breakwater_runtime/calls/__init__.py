"""Who asks, in which request, and what can go wrong: pure, known to every room."""

from breakwater_runtime.calls.channels import Channel, Peer
from breakwater_runtime.calls.problems import (
    API_VERSION,
    FIRST_FAULT_OF_OURS,
    Answer,
    Outcome,
    Problem,
    Refused,
    RpcError,
    StartError,
)
from breakwater_runtime.calls.requests import Call, Principal, Request, by_name
from breakwater_runtime.calls.sources import Sources

__all__ = [
    "API_VERSION",
    "FIRST_FAULT_OF_OURS",
    "Answer",
    "Call",
    "Channel",
    "Outcome",
    "Peer",
    "Principal",
    "Problem",
    "Refused",
    "Request",
    "RpcError",
    "Sources",
    "StartError",
    "by_name",
]
