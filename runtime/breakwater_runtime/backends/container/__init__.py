"""A server in another container of the pod, over its standard streams or over loopback HTTP."""

from pathlib import Path

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_contract.backends import Http
from breakwater_runtime.backends.container.backend import ContainerBackend
from breakwater_runtime.backends.container.command import Command
from breakwater_runtime.backends.container.helper import Helper
from breakwater_runtime.backends.container.http import HttpTransport, Pod
from breakwater_runtime.backends.container.stdio import StdioTransport
from breakwater_runtime.calls import StartError
from breakwater_runtime.resilience.answer_room import AnswerRoom


def backend(
    name: str, settings: Settings, folder: Path, pod: Pod, room: AnswerRoom | None = None
) -> ContainerBackend:
    """Make a backend; relative paths start at `folder`, large answers find room in `room`.

    Raises:
        StartError: It cannot be as it is configured.
    """
    if settings.http is not None:
        command = _command(name, settings.http, folder)
        transport = HttpTransport(name, settings, settings.http, pod, room or AnswerRoom(), command)
        return ContainerBackend(name, settings, transport)
    if settings.stdio is None:
        raise StartError(f"backends[{name}].container: nothing to serve")
    socket = str(folder / settings.stdio.socket)
    return ContainerBackend(
        name, settings, StdioTransport(name, settings, socket, settings.stdio.user)
    )


def _command(name: str, http: Http, folder: Path) -> Command | None:
    if http.socket is None:
        return None
    return Command(name, Helper(str(folder / http.socket), http.user))


__all__ = ["ContainerBackend", "Pod", "backend"]
