"""A server in another container of the pod, over its standard streams or over loopback HTTP."""

from pathlib import Path

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_runtime.backends.container.backend import ContainerBackend
from breakwater_runtime.backends.container.http import HttpTransport, Pod
from breakwater_runtime.backends.container.stdio import StdioTransport
from breakwater_runtime.calls import StartError


def backend(name: str, settings: Settings, folder: Path, pod: Pod) -> ContainerBackend:
    """Make a backend; relative paths start at `folder`.

    Raises:
        StartError: It cannot be as it is configured.
    """
    if settings.http is not None:
        return ContainerBackend(name, settings, HttpTransport(name, settings, settings.http, pod))
    if settings.stdio is None:
        raise StartError(f"backends[{name}].container: nothing to serve")
    socket = str(folder / settings.stdio.socket)
    return ContainerBackend(
        name, settings, StdioTransport(name, settings, socket, settings.stdio.user)
    )


__all__ = ["ContainerBackend", "Pod", "backend"]
