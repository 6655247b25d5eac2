"""Revisions: what belongs to the identity of a pod, by a name that is a hash of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.render.manifest import Live


@dataclass(frozen=True)
class Revision:
    """The pods of one server as one state of its spec and platform made them."""

    name: str
    """Hash of the revisioned leaves of the spec: ten hexadecimal digits."""
    number: int
    """Counts the revisions of a server, from 1."""
    image: str
    """The runtime image, with the platform's default of the day it was first rendered."""
    template: dict[str, Any]
    """The pod template."""


def name(server: McpServer) -> str:
    """Name the revision that a server's spec asks for."""
    raise NotImplementedError


def current(server: McpServer, platform: Platform, stored: Iterable[Live]) -> Revision:
    """Find the revision that a server should run.

    Args:
        server: The server.
        platform: Defaults for what the spec leaves open; they count only for a new revision.
        stored: The server's ControllerRevisions. Where one of them has the right name, it is
            taken as it is, so that neither a newer operator nor a changed default restarts pods.
    """
    raise NotImplementedError


def read(stored: Live) -> Revision | None:
    """Read a ControllerRevision back; None where it is not one that `render` wrote."""
    raise NotImplementedError


def unused(stored: Iterable[Live], current: Revision, running: Iterable[str]) -> tuple[Live, ...]:
    """Say which ControllerRevisions neither the spec nor any pod needs.

    Args:
        stored: The server's ControllerRevisions.
        current: The revision that the server should run.
        running: The revision labels of its pods and of its ReplicaSets that have replicas.
    """
    raise NotImplementedError
