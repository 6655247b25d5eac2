"""Where tools come from, as the runtime is told."""

from enum import Enum
from typing import Annotated

from pydantic import Field, StringConstraints

from breakwater_contract.model import Model

ENTRY_POINT = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

EntryPoint = Annotated[str, StringConstraints(pattern=ENTRY_POINT, max_length=253)]
BackendName = Annotated[str, StringConstraints(pattern=NAME, max_length=40)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Reason(Enum):
    """What a runtime finds out about a backend; the operator makes conditions of it."""

    STARTING = "BackendStarting"
    """It has not answered yet."""
    UNREACHABLE = "BackendUnreachable"
    """Nobody is there to start it, or to be asked."""
    CRASHING = "BackendCrashing"
    """It ends again and again, or could not be started at all."""
    HANDSHAKE_FAILED = "BackendHandshakeFailed"
    """It runs, and does not speak MCP."""
    EXPOSED = "BackendExposed"
    """It can be reached from outside the pod, past the runtime."""


class PythonBackend(Model):
    """An MCPServer object of the MCP SDK that runs inside the runtime's own process."""

    server: EntryPoint
    """Where the object is, as `package.module:attribute`."""


class Backend(Model):
    """Where tools come from; exactly one of its members is set."""

    name: BackendName = "main"
    """What the backend is called in metrics, logs and messages."""
    python: PythonBackend
    """A server object in this process."""
