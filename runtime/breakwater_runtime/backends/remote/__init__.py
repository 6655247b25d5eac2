"""Another MCP server, by its URL."""

import ssl
import time
from functools import partial
from pathlib import Path

from breakwater_contract.backends import ContainerBackend, Http, Instances
from breakwater_contract.remote import RemoteBackend as Settings
from breakwater_runtime.backends.codec.http.requests import Credentials
from breakwater_runtime.backends.remote.backend import RemoteBackend
from breakwater_runtime.backends.remote.credentials import ExchangedCredential, FileCredential
from breakwater_runtime.backends.remote.exchange import Exchanger, post
from breakwater_runtime.backends.remote.transport import RemoteTransport
from breakwater_runtime.calls import StartError
from breakwater_runtime.resilience.answer_room import AnswerRoom

SESSIONS_MAX = 1000


def backend(
    name: str, settings: Settings, folder: Path, room: AnswerRoom | None = None
) -> RemoteBackend:
    """Make a backend; relative paths start at `folder`, large answers find room in `room`.

    Raises:
        StartError: It cannot be as it is configured.
    """
    trust = _trust(name, settings, folder)
    credentials = _credentials(name, settings, folder, trust)
    transport = RemoteTransport(name, settings, trust, credentials, room or AnswerRoom())
    # What is kept of its sessions is what is kept of those of a server in the pod.
    sessions = ContainerBackend(
        http=Http(port=1),
        isolation=settings.isolation,
        instances=Instances(max=SESSIONS_MAX),
        start=settings.start,
        call=settings.call,
        message=settings.message,
    )
    exchanges = settings.token_exchange is not None
    return RemoteBackend(name, sessions, transport, lists_by_caller=exchanges)


def _trust(name: str, settings: Settings, folder: Path) -> ssl.SSLContext | None:
    if settings.url.startswith("http://"):
        return None
    where = f"backends[{name}].remote"
    try:
        if settings.ca_bundle is not None:
            return ssl.create_default_context(cadata=settings.ca_bundle)
        if settings.ca_file is not None:
            return ssl.create_default_context(cafile=folder / settings.ca_file)
    except (OSError, ValueError) as error:
        said = "caBundle" if settings.ca_bundle is not None else f"caFile {settings.ca_file}"
        raise StartError(f"{where}: {said} holds no certificates: {error}") from error
    return ssl.create_default_context()


def _credentials(
    name: str, settings: Settings, folder: Path, trust: ssl.SSLContext | None
) -> Credentials | None:
    if settings.credential is not None:
        return FileCredential(name, settings.credential, folder)
    if settings.token_exchange is not None:
        send = partial(post, trust=trust)
        exchanger = Exchanger(settings.token_exchange, folder, send, time.monotonic)
        return ExchangedCredential(name, exchanger)
    return None


__all__ = ["RemoteBackend", "backend"]
